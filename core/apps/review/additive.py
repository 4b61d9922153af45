"""Checks that a new version of an app's schema only adds to the one before: types, and fields that may be empty or have
a default. Any other change would invalidate stored data, or queries that others wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from pcloud.subject import TypeName
from projections.graph.catalog import Catalog, FieldDef, TypeDef

__all__ = ["added_fields", "additions", "beyond", "breaking_changes", "losses", "remade"]


def breaking_changes(before: Catalog, after: Catalog) -> list[str]:
    """Return each change that is not an addition, as a sentence; empty if the new schema may replace the old one."""
    return [
        *_breaking(before.types, after.types, extension=False),
        *_breaking(before.extensions, after.extensions, extension=True),
    ]


def additions(before: Catalog, after: Catalog) -> list[str]:
    """Return what the new schema adds, as phrases."""
    found: list[str] = []
    for old, new in ((before.types, after.types), (before.extensions, after.extensions)):
        for name, type_ in new.items():
            if name not in old and new is after.types:
                found.append(f"the type {_short(name)}")
            else:
                known = old[name].fields if name in old else {}
                found += [f"the field {_path(name, field)}" for field in type_.fields if field not in known]
    return found


def added_fields(before: Catalog, after: Catalog) -> dict[str, set[str]]:
    """Return, by type, the fields that only the new schema has; for a new type, all of them."""
    found: dict[str, set[str]] = {}
    for old, new in ((before.types, after.types), (before.extensions, after.extensions)):
        for name, type_ in new.items():
            if name not in old or type_.fields.keys() - old[name].fields.keys():
                found[name] = type_.fields.keys() - (old[name].fields.keys() if name in old else set())
    return found


def losses(now: Catalog, before: Catalog) -> list[str]:
    """Return the newer types and fields that are hidden if `before` replaces `now`, as phrases."""
    return additions(before, now)


def beyond(shown: Catalog, hidden: Catalog) -> Catalog:
    """Merge both; where both have a field, use the shown definition. A hidden field without a default becomes optional,
    because entities created without it lack a value."""
    return Catalog(_joined(shown.types, hidden.types), _joined(shown.extensions, hidden.extensions))


def remade(hidden: Catalog, before: Catalog, after: Catalog) -> list[str]:
    """Return which hidden types and fields would come back with another definition, as sentences. What stays hidden,
    and what is not hidden in the version before, is not checked here."""
    types = _shown_again(hidden.types, before.types, after.types)
    extensions = _shown_again(hidden.extensions, before.extensions, after.extensions)
    return breaking_changes(Catalog(types, extensions), after)


def _joined(first: Mapping[str, TypeDef], second: Mapping[str, TypeDef]) -> dict[str, TypeDef]:
    joined = {**second, **first}
    for name in first.keys() & second.keys():
        joined[name] = replace(first[name], fields={**_hidden(second[name].fields), **first[name].fields})
    return joined


def _hidden(fields: Mapping[str, FieldDef]) -> dict[str, FieldDef]:
    return {key: one if one.default is not None else replace(one, required=False) for key, one in fields.items()}


def _shown_again(
    hidden: Mapping[str, TypeDef], before: Mapping[str, TypeDef], after: Mapping[str, TypeDef]
) -> dict[str, TypeDef]:
    again: dict[str, TypeDef] = {}
    for name, type_ in hidden.items():
        if name in after:
            shown = before[name].fields if name in before else {}
            again[name] = replace(
                type_,
                fields={key: shown.get(key, one) for key, one in type_.fields.items() if key in after[name].fields},
            )
    return again


def _breaking(old: Mapping[str, TypeDef], new: Mapping[str, TypeDef], *, extension: bool) -> Iterator[str]:
    for name, type_ in old.items():
        if name not in new:
            if type_.fields or not extension:
                yield f"{'the fields on ' if extension else 'the type '}{_short(name)} {'are' if extension else 'is'} gone"
            continue
        for field in type_.fields.values():
            yield from _field_breaks(_path(name, field.name), field, new[name].fields.get(field.name))
        for field in new[name].fields.values():
            to_many = field.is_relation and field.many  # empty is a value
            if field.name not in type_.fields and field.required and field.default is None and not to_many:
                yield f"the new field {_path(name, field.name)} is required and has no default: existing entries lack it"
            if field.name not in type_.fields and field.is_id:
                yield f"the new field {_path(name, field.name)} is an @id: existing entries have other ids"


def _field_breaks(path: str, old: FieldDef, new: FieldDef | None) -> Iterator[str]:
    if new is None:
        yield f"the field {path} is gone"
        return
    if _type_of(old) != _type_of(new):
        yield f"the field {path} was {_type_of(old)} and is {_type_of(new)}"
        return
    if new.required and not old.required:
        yield f"the field {path} is required now: existing entries may lack it"
    if old.required and not new.required:
        yield f"the field {path} may be empty now: its readers rely on a value"
    if new.is_id != old.is_id:
        yield f"the field {path} {'became' if new.is_id else 'is no longer'} an @id: ids of entries would change"
    if gone := [value for value in old.values if value not in new.values]:
        yield f"the field {path} lacks the value{'s' if len(gone) > 1 else ''} {', '.join(gone)}"
    if (old.inverse, old.written) != (new.inverse, new.written):
        yield f"the relation {path} has another @hasInverse"
    if old.cascade != new.cascade:
        yield f"the relation {path} {'deletes' if new.cascade else 'no longer deletes'} what it points to"


def _type_of(field: FieldDef) -> str:
    inner = field.target or field.enum or str(field.kind)
    return f"[{inner}]" if field.many else inner


def _path(type_name: str, field: str) -> str:
    return f"{_short(type_name)}.{field.rpartition('/')[2]}"


def _short(name: str) -> str:
    return TypeName.parse(name).type
