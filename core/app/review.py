"""What the owner is shown before an app comes in: every grant in plain words, and what else would follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from core.caller import Grant
from core.grant import describe, explain_capability, requested_grants
from pcloud.manifest import Manifest

__all__ = ["Review", "review"]

ACTION = "action:"


@dataclass(frozen=True, slots=True)
class Review:
    """`notes`: what follows without being asked for, as sentences. `unconfined`: it would run with all rights of
    this user."""

    name: str
    version: str
    title: str
    description: str
    grants: tuple[Grant, ...]
    notes: tuple[str, ...]
    bundled: bool
    unconfined: bool

    def sentences(self) -> list[tuple[Grant, str]]:
        """Each grant with its meaning."""
        return [(grant, describe(grant)) for grant in self.grants]


def review(manifest: Manifest, *, bundled: bool) -> Review:
    return Review(
        manifest.name,
        manifest.version,
        manifest.title or manifest.name,
        manifest.description,
        requested_grants(manifest),
        tuple(_notes(manifest)),
        bundled,
        manifest.run is not None,
    )


def _notes(manifest: Manifest) -> list[str]:
    notes = [f"provide the role {role} to other apps" for role in manifest.provides]
    if manifest.run is not None and manifest.run.web:
        notes.append("serve web pages to you, at an address of its own")
    for init in manifest.init:
        receiver = init.call.rpartition("/")[0] or manifest.name
        whom = f"the app that provides {receiver.removeprefix('role:')}" if receiver.startswith("role:") else receiver
        actions = [value.removeprefix(ACTION) for value in init.args.values() if str(value).startswith(ACTION)]
        notes.extend(explain_capability(whom, action) for action in actions)
    return notes
