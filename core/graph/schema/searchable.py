"""The fields that a caller may search by: all marked `@search` in its view, and those of related entities one level deep."""

from __future__ import annotations

from collections.abc import Mapping

from core.graph.schema.view_type import ViewType

__all__ = ["search_names", "searchable_fields"]


def search_names(types: Mapping[str, ViewType], type_: ViewType) -> dict[str, str]:
    """Map names in the view (`camera`, `segments.label`) to stored names (`camera`, `face-detector/segments.label`)."""
    names: dict[str, str] = {}
    for name, one in type_.fields.items():
        if one.definition.search:
            names[name] = one.stored
        if one.is_relation:
            for child_name, child in types[one.target].fields.items():
                if child.definition.search:
                    names[f"{name}.{child_name}"] = f"{one.stored}.{child.stored}"
    return names


def searchable_fields(types: Mapping[str, ViewType], type_: ViewType) -> frozenset[str]:
    return frozenset(search_names(types, type_).values())
