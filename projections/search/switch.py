"""The search index behind a switch: the contract `SearchIndex`, answered by the version in use."""

from __future__ import annotations

from typing import Any

from projections.search.contract import SearchQuery, SearchResult
from projections.switch import Switch

__all__ = ["SearchSwitch"]


class SearchSwitch(Switch[Any]):
    """Passes every query on; a version is any `SearchIndex` that folds."""

    async def search(self, query: SearchQuery) -> SearchResult:
        return await self.ask("search", query)
