"""From what an app asks for to what the owner is asked, and from the answers to what holds."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import get_args

from pcloud.errors import Forbidden, Rejected
from pcloud.manifest import Manifest, Use, Verb
from projections.directory import Grant

__all__ = ["carry_over", "decide", "grant_id", "requested_grants"]


def grant_id(app: str, verb: str, target: str) -> str:
    """The id of the node that holds this grant: the same wherever it is asked for again."""
    return hashlib.sha256("\0".join((app, verb, target)).encode()).hexdigest()[:32]


def requested_grants(manifest: Manifest) -> tuple[Grant, ...]:
    """One grant per thing that an entry of `uses` asks for, all pending; raises `Rejected` for an entry that names nothing, or the
    same thing twice."""
    grants: dict[str, Grant] = {}
    for position, use in enumerate(manifest.uses, 1):
        for grant in _grants(manifest.name, use, position):
            if grant.id in grants:
                raise Rejected(f"app.yaml asks twice to {grant.verb} {grant.target}: keep one entry of `uses`")
            grants[grant.id] = grant
    return tuple(grants.values())


def carry_over(requested: Sequence[Grant], held: Sequence[Grant]) -> tuple[Grant, ...]:
    """The grants of an app's new version: what the owner has decided stays, what asks for more is pending."""
    before = {grant.id: grant for grant in held}
    return tuple(_carried(grant, before.get(grant.id)) for grant in requested)


def decide(grants: Sequence[Grant], answers: Mapping[str, bool]) -> tuple[Grant, ...]:
    """The pending grants as approved or rejected, by id; one without an answer is rejected. The others stay as they are.

    Raises `Forbidden` when one is rejected that the app can't do without.
    """
    decided = tuple(
        dataclasses.replace(grant, state="approved" if answers.get(grant.id, False) else "rejected")
        if grant.state == "pending"
        else grant
        for grant in grants
    )
    refused = [grant for grant in decided if grant.state == "rejected" and not grant.optional]
    if refused:
        names = ", ".join(f"{grant.verb} {grant.target}" for grant in refused)
        raise Forbidden(f"{refused[0].app} is not installed: it needs what was not granted: {names}")
    return decided


def _carried(grant: Grant, before: Grant | None) -> Grant:
    if before is None or not set(grant.fields) <= set(before.fields):
        return grant
    if before.state == "rejected" and not grant.optional:
        return grant
    return dataclasses.replace(grant, state=before.state)


def _grants(app: str, use: Use, position: int) -> list[Grant]:
    asked = use.asked()
    if (verbs := len({verb for verb, _ in asked})) != 1:
        raise Rejected(
            f"entry {position} of `uses` in app.yaml must have exactly one of {', '.join(get_args(Verb))}, not {verbs}"
        )
    return [
        Grant(
            app,
            verb,
            target,
            tuple(use.fields),
            use.as_,
            use.optional,
            use.reason,
            "pending",
            grant_id(app, verb, target),
        )
        for verb, target in asked
    ]
