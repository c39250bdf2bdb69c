"""A wire to PostgreSQL, in a process of its own, that can lose one answer: the one to a commit, which the server has then done.

Words: the server's port. It says its own port; after a line on its input the next COMMIT is passed on and its answer is not.
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress

ARMED = threading.Event()


def up(client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
    with suppress(OSError):
        while said := client.recv(1 << 16):
            if b"COMMIT" in said and ARMED.is_set():
                ARMED.clear()
                cut.set()
            server.sendall(said)
    with suppress(OSError):
        server.shutdown(socket.SHUT_WR)


def down(client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
    with suppress(OSError):
        while answer := server.recv(1 << 16):
            if cut.is_set():
                print("lost", flush=True)
                break
            client.sendall(answer)
    for end in (client, server):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def serve(door: socket.socket, port: int) -> None:
    while True:
        client, _ = door.accept()
        server, cut = socket.create_connection(("127.0.0.1", port)), threading.Event()
        for way in (up, down):
            threading.Thread(target=way, args=(client, server, cut), daemon=True).start()


if __name__ == "__main__":
    door_ = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(door_, int(sys.argv[1])), daemon=True).start()
    print(door_.getsockname()[1], flush=True)
    for _ in sys.stdin:
        ARMED.set()
        print("armed", flush=True)
