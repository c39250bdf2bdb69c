"""The session, and its verbs: look, keep, ask, think and act."""

from __future__ import annotations

from kalshi_lab.lab.session import AsyncLab, Lab

__all__ = ["AsyncLab", "Lab"]
