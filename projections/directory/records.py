"""The directory's records, all immutable: a change makes a new `Records`, so that a decision reads one consistent
state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import msgspec

from pcloud.errors import Corrupt
from pcloud.subject import Ref
from projections.directory.app import App, read_app
from projections.directory.grant import Grant, read_grant
from projections.directory.notice import Notice, read_notice
from projections.directory.session import Session, read_session
from projections.directory.time import seconds_of

__all__ = ["Capability", "Device", "Owner", "Records", "Scope", "TriggerPast"]

log = logging.getLogger("pcloud.view")

Scope = Literal["view", "upload", "manage"]
"""The scopes that a device may be paired for: look, use the storage, or do all that its person may do."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of this cloud. `token_hash`: SHA-256 of the credential, as hex."""

    id: str
    token_hash: str

    @property
    def credential(self) -> str:
        """A name for the credential that changes with it; the credential can't be derived from it."""
        return self.token_hash[:16]


@dataclass(frozen=True, slots=True)
class Device:
    """`token_hash`: SHA-256 of its token, '' once it is revoked. `rights`: `metrics` for a device that reads only
    these. `scopes`: those that it was paired for; devices older than scopes may do everything. `seen`: when it was last
    heard of, a day earlier at most; 0 if never."""

    id: str
    name: str
    state: str
    token_hash: str = ""
    rights: str = ""
    scopes: tuple[Scope, ...] = ("manage",)
    seen: float = 0.0

    @property
    def asks(self) -> bool:
        """Return True if it may ask for anything besides the metrics."""
        return self.state == "active" and not self.rights


@dataclass(frozen=True, slots=True)
class Capability:
    """The right to call `action` (`app/action`), given by `giver` to `receiver`; `id` is the SHA-256 of its token."""

    id: str
    giver: str
    receiver: str
    action: str


class TriggerPast(msgspec.Struct, frozen=True):
    """The progress of a trigger through its past. `installed`: the log's sequence at the installation; later events are
    live. `since` to `until`: the range of the newest replay, `only` for one entity; `matched`: the number of matching
    events when it was requested (for the first history: all of its type; -1: not counted yet). `passed`: how many of them
    it had passed when it was CANCELLED. RESETTING: recorded, but the consumer is not at `since` yet. PAUSED: the owner
    paused it. REMOVED: the app is removed, its data is kept."""

    app: str
    name: str
    installed: int
    generation: int = 0
    state: str = "RESETTING"
    since: int = 1
    until: int = 0
    only: str = ""
    matched: int = -1
    passed: int = -1

    @property
    def key(self) -> str:
        return f"{self.app}/{self.name}"


@dataclass(frozen=True, slots=True)
class Records:
    """Records by id; an app's id is its name."""

    apps: Mapping[str, App] = field(default_factory=dict[str, App])
    grants: Mapping[str, Grant] = field(default_factory=dict[str, Grant])
    owners: Mapping[str, Owner] = field(default_factory=dict[str, Owner])
    devices: Mapping[str, Device] = field(default_factory=dict[str, Device])
    capabilities: Mapping[str, Capability] = field(default_factory=dict[str, Capability])
    pasts: Mapping[str, TriggerPast] = field(default_factory=dict[str, TriggerPast])
    sessions: Mapping[str, Session] = field(default_factory=dict[str, Session])
    notices: Mapping[str, Notice] = field(default_factory=dict[str, Notice])

    def after(self, changed: Iterable[Ref], stored: Callable[[Ref], Mapping[str, Any] | None]) -> Records:
        """The records after reading these entities again. `stored`: an entity's fields now, None if it does not
        exist."""
        tables = {one.name: getattr(self, one.name) for one in fields(self)}
        copied: set[str] = set()
        for ref in changed:
            if (reader := _READERS.get(ref.type)) is None:
                continue
            table, read = reader
            if table not in copied:
                tables[table] = dict(tables[table])
                copied.add(table)
            tables[table].pop(ref.id, None)
            if (values := stored(ref)) is not None:
                try:
                    tables[table][ref.id] = read(ref.id, values)
                except (Corrupt, KeyError, TypeError) as error:
                    log.error("%s is left out of the directory: %s", ref, error)
        return Records(**tables)


def _read_owner(id: str, values: Mapping[str, Any]) -> Owner:
    return Owner(id, values.get("tokenHash") or "")


def _read_device(id: str, values: Mapping[str, Any]) -> Device:
    return Device(
        id, values["name"], values["state"], values.get("tokenHash") or "", values.get("rights") or "",
        tuple(values.get("scopes") or ("manage",)), seconds_of(values.get("seenAt")),
    )  # fmt: skip


def _read_capability(id: str, values: Mapping[str, Any]) -> Capability:
    return Capability(id, values["giver"], values["receiver"], values["action"])


def _read_past(id: str, values: Mapping[str, Any]) -> TriggerPast:
    known = {name: values[name] for name in TriggerPast.__struct_fields__ if values.get(name) is not None}
    return TriggerPast(**known)


_READERS: Mapping[str, tuple[str, Callable[[str, Mapping[str, Any]], Any]]] = {
    "App": ("apps", read_app),
    "Grant": ("grants", read_grant),
    "Owner": ("owners", _read_owner),
    "Device": ("devices", _read_device),
    "Capability": ("capabilities", _read_capability),
    "Trigger": ("pasts", _read_past),
    "Session": ("sessions", read_session),
    "Notice": ("notices", read_notice),
}
