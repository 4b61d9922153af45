"""Resolves relations: which two fields are the ends of one relation, and under which of them events are written.

The to-one end is written; of two ends of the same kind, the one that is declared first. A relation without an inverse is
written where it is declared; one that is its own inverse (`friends`) holds in both directions. Both ends must be declared by
the same schema: an app can't add an inverse to another app's field.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.graph.schema.field import FieldDraft
from core.graph.schema.place import Places, suggest
from core.graph.schema.type_draft import TypeDraft

__all__ = ["settle_relations"]


def settle_relations(app: str, types: Sequence[TypeDraft], places: Places) -> None:
    """Fill in `inverse_stored` and `written` of every relation; refuse pairs that contradict each other."""
    by_stored = {draft.stored: draft for draft in types}
    for draft in types:
        for one in draft.fields.values():
            if one.inverse:
                _pair(draft, one, by_stored[one.target], places)
    for draft in types:
        for one in draft.fields.values():
            if one.target and not one.written:
                _choose_written(draft, one, by_stored, places)


def _pair(owner: TypeDraft, one: FieldDraft, target: TypeDraft, places: Places) -> None:
    other = target.fields.get(one.inverse)
    if other is None:
        there = [name for name, candidate in target.fields.items() if candidate.target == owner.stored]
        places.refuse(
            one.node,
            f"@hasInverse of {owner.alias}.{one.name} names the field {one.inverse!r}, which this schema does not declare on "
            f"{target.alias!r}.{suggest(one.inverse, there)} Declare `{one.inverse}: [{owner.alias}!]` there",
        )
    if other is one and not one.many:
        places.refuse(
            one.node,
            f"{owner.alias}.{one.name} is its own inverse, which needs a list: declare a second field for the other end",
        )
    if other.target != owner.stored:
        what = f"points to {other.target!r}" if other.target else f"is a {other.kind}"
        places.refuse(
            one.node,
            f"@hasInverse of {owner.alias}.{one.name} names {target.alias}.{other.name}, which {what}: "
            f"it must be a relation to {owner.alias!r}",
        )
    if other.inverse and other.inverse != one.name:
        places.refuse(
            other.node,
            f"{target.alias}.{other.name} says that its inverse is {other.inverse!r}, but {owner.alias}.{one.name} says that it is "
            f"its own: write @hasInverse(field: {one.name})",
        )
    if one.inverse_stored and one.inverse_stored != other.stored:
        places.refuse(
            other.node,
            f"{owner.alias}.{one.name} is the inverse of two fields, {one.inverse_stored!r} and {other.stored!r}: keep one",
        )
    if other.inverse_stored and other.inverse_stored != one.stored:
        places.refuse(
            one.node,
            f"{target.alias}.{other.name} is the inverse of two fields, {other.inverse_stored!r} and {one.stored!r}: keep one",
        )
    one.inverse_stored, other.inverse_stored = other.stored, one.stored


def _choose_written(owner: TypeDraft, one: FieldDraft, by_stored: dict[str, TypeDraft], places: Places) -> None:
    """Call in the order of declaration: of two equal ends, the first one becomes the written one."""
    if not one.inverse_stored:
        one.written = True
        return
    other = next(f for f in by_stored[one.target].fields.values() if f.stored == one.inverse_stored)
    if other.written:
        if one.required:
            places.refuse(
                one.node,
                f"{owner.alias}.{one.name} is required, but the relation is written at its other end: remove the `!` here",
            )
        return
    one.written = not one.many or other.many
