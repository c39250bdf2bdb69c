"""DuckDB, and nothing else: the only package that imports it."""

from __future__ import annotations

from kalshi_lab.store.store import TABLES, Store, make_folder

__all__ = ["TABLES", "Store", "make_folder"]
