"""Turns an app's requests into questions to the owner, and the owner's answers into grants."""

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
    """Return the id of the node that holds this grant: the same each time it is requested."""
    return hashlib.sha256("\0".join((app, verb, target)).encode()).hexdigest()[:32]


def requested_grants(manifest: Manifest) -> tuple[Grant, ...]:
    """Return one pending grant for each thing that an entry of `uses` asks for. Raises `Rejected` for an entry without a target, or for
    two equal entries."""
    grants: dict[str, Grant] = {}
    for position, use in enumerate(manifest.uses, 1):
        for grant in _grants(manifest.name, use, position):
            if grant.id in grants:
                raise Rejected(f"app.yaml asks twice to {grant.verb} {grant.target}: keep one entry of `uses`")
            grants[grant.id] = grant
    return tuple(grants.values())


def carry_over(requested: Sequence[Grant], held: Sequence[Grant]) -> tuple[Grant, ...]:
    """Return the grants of an app's new version: the owner's decisions stay, requests for more are pending."""
    before = {grant.id: grant for grant in held}
    return tuple(_carried(grant, before.get(grant.id)) for grant in requested)


def decide(grants: Sequence[Grant], answers: Mapping[str, bool]) -> tuple[Grant, ...]:
    """Return the pending grants as approved or rejected, by id; a grant without an answer is rejected. The others stay as they are.

    Raises `Forbidden` if a rejected grant is one that the app requires.
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
        raise Forbidden(f"{refused[0].app} is not installed: it requires grants that were rejected: {names}")
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
