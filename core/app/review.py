"""What the owner is shown before an app comes in: every grant in plain words, and what else would follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.app.admission_rules import Missing
from core.app.limits import size
from core.app.signature import Signer
from core.grant import Words, describe, explain_capability
from pcloud.manifest import Manifest, Resources, handed_over
from pcloud.subject import TypeName
from projections.directory import Grant

__all__ = ["Review", "changes_of", "notes_of", "resources_of", "worded"]


@dataclass(frozen=True, slots=True)
class Review:
    """`archive`: its sha256. `kind`: what installing it would be. `grants`: all, those that wait for the owner pending.
    `notes`: what follows without being asked for, as sentences. `missing`: what has to be installed first. `changes`:
    what an upgrade changes. `sandbox`: in which one it would run; `unconfined`: with all rights of this user.
    `words`: those that grants are told in."""

    archive: str
    kind: Literal["install", "upgrade", "same"]
    name: str
    version: str
    from_version: str
    title: str
    description: str
    bundled: bool
    sandbox: str
    unconfined: bool
    signer: Signer | None
    grants: tuple[Grant, ...]
    notes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    changes: tuple[str, ...] = ()
    words: Words = field(default_factory=Words)

    def as_dict(self) -> dict[str, Any]:
        needed = list(dict.fromkeys(one.bundled for one in self.missing if one.bundled))
        told = {**asdict(self), "missing": [str(one) for one in self.missing], "needed": needed}
        del told["words"]
        return told | {"grants": worded(self.grants, self.words)}


def worded(grants: Iterable[Grant], words: Words) -> list[dict[str, Any]]:
    """Each grant with what it means, and whether it waits for the owner."""
    return [{**asdict(grant), "text": describe(grant, words), "new": grant.state == "pending"} for grant in grants]


def notes_of(manifest: Manifest, words: Words | None = None) -> list[str]:
    """What the app does without a grant of its own."""
    notes = [f"provide “{role.replace('-', ' ')}” to other apps" for role in manifest.provides]
    if manifest.run is not None and manifest.run.web:
        notes.append("serve web pages to you, at an address of its own")
    for called, actions in handed_over(manifest):
        receiver = called.rpartition("/")[0] or manifest.name
        notes.extend(explain_capability(manifest.name, receiver, action, words) for action in actions.values())
    if any(TypeName.parse(trigger.on.type).app != manifest.name for trigger in manifest.triggers):
        notes.append(
            "act by itself on what it may see of other apps; where you withdraw that, it stops, and given again it goes on where it was"
        )
    return list(dict.fromkeys(notes))


def resources_of(resources: Resources) -> list[str]:
    """What it may use of this machine, in words."""
    room = f"up to {size(resources.disk)}" if resources.disk else "without limit"
    return [
        f"use up to {size(resources.memory)} of memory", f"run up to {resources.processes} processes",
        f"store {room} in its own folder",
    ]  # fmt: skip


def changes_of(before: Manifest, after: Manifest, added: Sequence[str], new_inits: Iterable[str]) -> list[str]:
    """What an upgrade changes besides grants, as phrases; `added`: to the schema."""
    found = [f"adds {phrase}" for phrase in added]
    old, new = ({trigger.name for trigger in manifest.triggers} for manifest in (before, after))
    found += [f"adds the trigger {name}" for name in sorted(new - old)]
    found += [f"gives up the trigger {name}" for name in sorted(old - new)]
    asked, kept = ({one for use in manifest.uses for one in use.asked()} for manifest in (before, after))
    found += [f"no longer asks for {target}" for _, target in sorted(asked - kept)]
    found += [f"calls {call} once" for call in new_inits]
    return found
