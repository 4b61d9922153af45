"""The types of the app `core`, which exist before any app is installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from core.graph.schema.parse import parse_schema
from projections.graph.catalog import Catalog

__all__ = ["builtin_catalog"]


@cache
def builtin_catalog() -> Catalog:
    """Return the types that `core.graphql` declares."""
    text = Path(__file__).with_name("core.graphql").read_text(encoding="utf-8")
    return parse_schema("core", text, others=Catalog(), file="core.graphql")
