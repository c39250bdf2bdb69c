"""Tables handed between Polars and DuckDB as Arrow streams, without pyarrow.

This module must not know DuckDB: Polars remembers the type of every object that it ever read a stream from, and through that type's
module would keep DuckDB's own types alive at the end of the process, which DuckDB 2 reports as leaks on the terminal.
"""

from __future__ import annotations

from typing import Protocol


class Streams(Protocol):
    """Anything that can be read as an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table as an Arrow stream."""


class Arrow:
    """A frame or a query's result, showing nothing but its Arrow stream."""

    def __init__(self, source: Streams) -> None:
        self._source = source

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table as an Arrow stream; a frame's can be read more than once."""
        return self._source.__arrow_c_stream__(requested_schema)
