"""The libraries that some analyses need and the core does without, loaded where they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kalshi_lab.errors import UsageError


def science(name: str) -> Any:
    """A module of numpy or scipy, such as "scipy.optimize"; UsageError that says how to install them where they are absent."""
    try:
        return import_module(name)
    except ImportError as error:
        hint = 'Install it: pip install "kalshi_lab[analysis]"'
        raise UsageError(f"this analysis needs {name.partition('.')[0]}", hint=hint) from error
