"""What the owner is shown before an app is installed: every grant in plain words, and the consequences that need no grant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.access.grant import Words, describe, explain_capability
from core.access.grant.wording import plural, spoken
from core.apps.review.admission_rules import MissingNeed
from core.apps.review.limits import size
from core.apps.review.stored_data import Left
from core.apps.signing.author import Author
from pcloud.manifest import Manifest, Resources, handed_over
from pcloud.subject import TypeName, split_name
from projections.directory import Grant

__all__ = ["Review", "notes_of", "resources_of", "worded"]


@dataclass(frozen=True, slots=True)
class Review:
    """`archive`: its sha256. `kind`: what installing it would be. `takes_from`: the author of the app whose data and
    grants it would get with the owner's consent; `left`: that app, if it was removed. `grants`: all grants, those
    that the owner has to decide pending. `warnings`: sentences. `notes`: consequences without a grant, as phrases
    after "it will". `missing`: what has to be installed first. `changes`: what an upgrade changes, as phrases after
    "this version". `sandbox`: the kind in which it would run; `unconfined`: it would run with all rights of this
    user. `words`: the vocabulary in which grants are described."""

    archive: str
    kind: Literal["install", "upgrade", "same"]
    name: str
    version: str
    from_version: str
    title: str
    description: str
    author: Author
    takes_from: Author | None
    left: Left | None
    sandbox: str
    unconfined: bool
    grants: tuple[Grant, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    missing: tuple[MissingNeed, ...] = ()
    changes: tuple[str, ...] = ()
    words: Words = field(default_factory=Words)

    def as_dict(self) -> dict[str, Any]:
        needed = list(dict.fromkeys(one.bundled for one in self.missing if one.bundled))
        told = {**asdict(self), "missing": [str(one) for one in self.missing], "needed": needed}
        del told["words"]
        told |= {"author": self.author.as_dict(), "takes_from": self.takes_from and self.takes_from.as_dict()}
        return told | {"grants": worded(self.grants, self.words)}


def worded(grants: Iterable[Grant], words: Words) -> list[dict[str, Any]]:
    """Return each grant with its meaning, and whether the owner has to decide it."""
    return [{**asdict(grant), "text": describe(grant, words), "new": grant.state == "pending"} for grant in grants]


def notes_of(manifest: Manifest, words: Words | None = None) -> list[str]:
    """What the app does without a grant."""
    notes = [f"provide “{role.replace('-', ' ')}” to other apps" for role in manifest.provides]
    if manifest.run is not None and manifest.run.web:
        notes.append("serve web pages to you, at an address of its own; a page can send away what it can see")
    notes += [f"open the port {port} to apps that may call it" for port in manifest.run.ports] if manifest.run else []
    notes += _triggers(manifest, words or Words())
    for called, actions in handed_over(manifest):
        receiver = split_name(called)[0] or manifest.name
        notes.extend(explain_capability(manifest.name, receiver, action, words) for action in actions.values())
    return list(dict.fromkeys(notes))


def _triggers(manifest: Manifest, words: Words) -> Iterator[str]:
    for trigger in manifest.triggers:
        type_ = TypeName.parse(trigger.on.type)
        events = [trigger.on.event] if isinstance(trigger.on.event, str) else trigger.on.event
        whose = "it keeps" if type_.app == manifest.name else f"{words.app(type_.app)} keeps"
        past = ", also for those that exist already" if trigger.replay == "all" else ""
        yield (
            f"“{spoken(trigger.action.rpartition('/')[2])}” by itself when one of the {plural(type_.type)} that {whose} is "
            f"{' or '.join(events)}{past}"
        )
    if any(TypeName.parse(trigger.on.type).app != manifest.name for trigger in manifest.triggers):
        yield "stop doing that if you withdraw what it may see, and continue where it stopped once you grant it again"


def resources_of(resources: Resources) -> list[str]:
    """What it may use of this machine, in words."""
    return [
        f"use up to {size(resources.memory)} of memory", f"run up to {resources.processes} processes",
        f"store {_room(resources.disk)} in its own folder",
        f"write {_room(resources.graph)} to the graph, counting every change that it makes",
        f"open {_files(resources.files)} in each process",
    ]  # fmt: skip


def _files(most: int) -> str:
    return f"up to {most} files and connections" if most else "as many files and connections as this machine allows"


def _room(most: int) -> str:
    return f"up to {size(most)}" if most else "without limit"
