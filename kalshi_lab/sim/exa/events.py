"""Answers of the simulated Exa as server-sent events."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

BITE = 24  # characters to a piece
FALSE_START = "A first try that is thrown away. "
STREAM = "text/event-stream"


def answer(made: dict[str, Any], odd: str) -> Response:
    """An answer or a search's output, piece by piece; `odd` is how the stream goes wrong: reset, error, or not at all."""
    asked = "answer" in made
    text = made["answer"] if asked else made["output"]["content"]
    words = text if isinstance(text, str) else json.dumps(text)
    chunks = [_piece(words[start : start + BITE], asked=asked) for start in range(0, len(words), BITE)]
    if odd == "reset":
        chunks = [_piece(FALSE_START, asked=asked), {"type": "stream-reset", "streamReset": True}, *chunks]
    if odd == "error":
        broken = {"error": {"code": "SERVER_ERROR", "message": "the stream broke"}}
        end = (
            {"tag": "ERROR", "payload": {**broken, "requestId": made["requestId"]}}
            if asked
            else {"type": "error", **broken}
        )
        return _framed([*chunks[:1], end])
    return _framed([*chunks, *(_cited(made) if asked else _founded(made))])


def _piece(text: str, *, asked: bool) -> dict[str, Any]:
    choices = [{"index": 0, "delta": {"content": text}}]
    return {"choices": choices} if asked else {"type": "text-delta", "delta": text, "choices": choices}


def _cited(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"citations": made["citations"]}, {"costDollars": made["costDollars"], "requestId": made["requestId"]}]


def _founded(made: dict[str, Any]) -> list[dict[str, Any]]:
    warned = [{"warnings": made["warnings"]}] if "warnings" in made else []
    last = {name: made[name] for name in ("output", "searchTime", "costDollars", "requestId")}
    return [
        *warned,
        {"type": "results", "results": made["results"]},
        {"type": "grounding", "grounding": made["output"]["grounding"]},
        {"type": "done", **last},
    ]


def _framed(chunks: list[dict[str, Any]]) -> Response:
    """A comment first, which says nothing, as servers send them to keep a connection open."""
    lines = [": open\n\n", *(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]
    return Response("".join(lines), 200, media_type=STREAM)


def run(told: list[dict[str, Any]], after: str) -> Response:
    """The events of a run, those after an id alone where one is given."""
    places = [place for place, one in enumerate(told) if one["id"] == after]
    rest = told[places[0] + 1 :] if places else told
    frames = [f"id: {one['id']}\nevent: {one['type']}\ndata: {json.dumps(one['data'])}\n\n" for one in rest]
    return Response("".join(frames), 200, media_type=STREAM)
