"""DuckDB, and nothing else: the only package that imports it."""

from __future__ import annotations

from kalshi_lab.store.store import Store, make_folder
from kalshi_lab.store.versions import TABLES

__all__ = ["TABLES", "Store", "make_folder"]
