"""Notebooks run with parameters, and their pictures gathered on one page."""

from __future__ import annotations
