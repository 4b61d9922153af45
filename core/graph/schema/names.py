"""How stored names become GraphQL names, and which names the API derives from a type's name.

The owner sees `ImageImporter_Image` with the field `faceDetector_segments`; an app sees plain names. From a type `X` the API makes
`XFilter`, `AddXInput` and so on: a schema may not declare those itself.
"""

from __future__ import annotations

import itertools

from pcloud.subject import split_name

__all__ = ["RESERVED_FIELDS", "SHARED", "camel", "generated", "owner_field", "owner_type", "pascal", "small"]


def pascal(app: str) -> str:
    """`image-importer` → `ImageImporter`; the result is unique to the app, as each part begins with a letter."""
    return "".join(part.capitalize() for part in app.split("-"))


def camel(app: str) -> str:
    """`image-importer` → `imageImporter`."""
    return small(pascal(app))


def small(name: str) -> str:
    """Return the name with its first letter in lower case: `Image` → `image`."""
    return name[:1].lower() + name[1:]


def owner_type(stored: str) -> str:
    """`image-importer/Image` → `ImageImporter_Image`."""
    app, name = split_name(stored)
    return f"{pascal(app)}_{name}"


def owner_field(stored: str) -> str:
    """`face-detector/segments` → `faceDetector_segments`; a field of the declaring app keeps its name."""
    app, name = split_name(stored)
    return f"{camel(app)}_{name}" if app else name


SUFFIXES = (
    "Filter", "Order", "Orderable", "Group", "Patch", "Ref", "Event", "AggregateResult", "HasFilter",
)  # fmt: skip


def generated(name: str) -> tuple[str, ...]:
    """Return all GraphQL type names that the API makes for the type `name` of a view."""
    return (
        *(name + suffix for suffix in SUFFIXES),
        f"Add{name}Input", f"Add{name}Payload", f"Update{name}Input", f"Update{name}Payload", f"Delete{name}Payload",
    )  # fmt: skip


# The operators of a field's filter, in the order in which they appear in the name of the filter's input type.
FILTER_GROUPS = ("Equal", "Range", "Terms", "RegExp")
_KINDS = ("ID", "String", "Int", "Int64", "Float", "Boolean", "DateTime")
_FILTERS = {
    f"{kind}{''.join(groups)}Filter"
    for kind in _KINDS
    for size in range(1, len(FILTER_GROUPS) + 1)
    for groups in itertools.combinations(FILTER_GROUPS, size)
}

SHARED = frozenset({
    *_KINDS, "JSON", "Query", "Mutation", "Subscription", "AnyNode", "GroupCount", "HistoryEntry", "Count",
    "SearchFilter", "SearchFacetFilter", "SearchRangeFilter", "SearchResult", "SearchHit", "SearchFacet", "SearchFacetCount",
    *(f"{kind}Range" for kind in _KINDS), *_FILTERS,
})  # fmt: skip

RESERVED_FIELDS = frozenset({"id", "_cursor", "_version", "and", "or", "not", "has"})
