"""A user's own SQL: exactly one SELECT, by its parsed type, without the functions that reach beyond the store or change the engine.

The connection itself is read-only, opens no files, and takes no settings; this only says so in plain words, before anything is opened.
It guards against accidents and pasted queries; it is no sandbox.
"""

from __future__ import annotations

import re
from itertools import pairwise

import duckdb

from kalshi_lab.errors import UsageError
from kalshi_lab.store.connection import short
from kalshi_lab.store.versions import TABLES

REFUSED = re.compile(
    r"""read_\w+ | glob | sniff_csv | \w+_scan(_dumb)? | parquet_\w+                 # files
    | postgres_\w+ | ducklake_\w+                                                  # a catalogue
    | query | query_table | json_execute_serialized_sql                              # SQL in a text, which nobody has looked at
    | (enable|disable)_\w+ | (force_)?checkpoint | truncate_duckdb_logs | write_log  # the engine
    | setseed | nextval | setval | sleep_ms | add_parquet_key | \w+_external_resource(_type)?
    | getenv | duckdb_secrets | which_secret                                         # what is no business of a query""",
    re.VERBOSE,
)


def checked(sql: str) -> None:
    """Raise UsageError for anything but one SELECT, or one with a function that is refused."""
    kinds = _kinds(sql)
    if kinds != ["SELECT"]:
        raise UsageError(
            f"sql() takes one SELECT, not {', '.join(kinds) or 'nothing'}", hint=f"Tables: {', '.join(TABLES)}"
        )
    for name in _called(sql):
        if REFUSED.fullmatch(name):
            raise UsageError(
                f"sql() does not allow {name}()",
                hint="It reads the store's tables and nothing else, and changes nothing",
            )


def _kinds(sql: str) -> list[str]:
    try:
        return [str(statement.type.name) for statement in duckdb.extract_statements(sql)]
    except duckdb.Error as error:
        raise UsageError(f"this is no SQL that DuckDB reads: {short(error)}") from None


def _called(sql: str) -> list[str]:
    """The names before an opening bracket, by DuckDB's own tokens: not those in texts and comments."""
    text = sql.encode()
    starts = [start for start, _ in duckdb.tokenize(sql)]
    tokens = [
        text[start:end].decode("utf-8", "replace") for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
    ]
    plain = [_COMMENT.sub("", token).strip() for token in tokens]
    plain = [token for token in plain if token]
    return [name.strip('"').lower() for name, after in pairwise(plain) if after.startswith("(")]


_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
