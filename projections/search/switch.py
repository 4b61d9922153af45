"""The search index behind a switch: the port `SearchIndex`, answered by whichever version is in use."""

from __future__ import annotations

from typing import Any

from projections.search.port import SearchQuery, SearchResult
from projections.switch import Switch

__all__ = ["SearchSwitch"]


class SearchSwitch(Switch[Any]):
    """Hands every question through; a version is any `SearchIndex` that folds."""

    async def search(self, query: SearchQuery) -> SearchResult:
        return await self.ask("search", query)
