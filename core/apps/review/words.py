"""The titles of installed apps and of what they offer, for the words of a review. Reads only its arguments."""

from __future__ import annotations

from collections.abc import Mapping

from core.access.grant import Words
from core.work.call import takes_action
from pcloud.manifest import Manifest
from projections.graph.catalog import Catalog

__all__ = ["words_of"]


def words_of(manifests: Mapping[str, Manifest], types: Catalog) -> Words:
    """`manifests`: by the app's name, including the reviewed app; `types`: all that exist."""
    return Words(
        titles={name: one.title for name, one in manifests.items()},
        types={name: one.description for name, one in types.types.items()},
        actions={
            f"{name}/{action.name}": action.description for name, one in manifests.items() for action in one.actions
        },
        takers=frozenset(
            f"{name}/{action.name}"
            for name, one in manifests.items()
            for action in one.actions
            if any(takes_action(type_) for type_ in action.args.values())
        ),
        roles={role: name for name, one in manifests.items() for role in one.provides},
    )
