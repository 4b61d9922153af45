"""The target of a call: an action of an app, an action of the app that holds a role, or an action that was handed over.

    app/action            image-importer/new-object
    role:ROLE/action      role:object-storage/get-object
    capability:TOKEN      made by core from an action that was handed over, see `capability`

    handed:ID             a capability in a stored call: the id of its record, which gives no right by itself

Only the written form is defined here; `directory` decides who holds a role, and `permission` who may call.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from pcloud.errors import Rejected
from pcloud.subject import call_subject, check_action, check_app, split_name

__all__ = ["ActionName", "CapabilityName", "RoleAction", "Target", "parse_stored", "parse_target", "stored_target"]

_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,128}")
_HANDED = "handed:"


@dataclass(frozen=True, slots=True)
class ActionName:
    """An action of one app."""

    app: str
    action: str

    def __str__(self) -> str:
        return f"{self.app}/{self.action}"

    @property
    def subject(self) -> str:
        """The subject on which its app listens, in the account APPS."""
        return call_subject(self.app, self.action)

    @classmethod
    def parse(cls, text: str) -> ActionName:
        app, action = split_name(text)
        return cls(check_app(app, reserved=True), check_action(action))


@dataclass(frozen=True, slots=True)
class RoleAction:
    """An action of the app that holds a role."""

    role: str
    action: str

    def __str__(self) -> str:
        return f"role:{self.role}/{self.action}"


@dataclass(frozen=True, slots=True)
class CapabilityName:
    """An action handed to the caller. `id`: of its record, the SHA-256 of its token, which is a secret and never stored."""

    id: str

    def __str__(self) -> str:
        return "capability:…"

    @classmethod
    def of(cls, token: str) -> CapabilityName:
        return cls(hashlib.sha256(token.encode()).hexdigest())


Target = ActionName | RoleAction | CapabilityName


def parse_target(text: str) -> Target:
    """Parse one of the three written forms. Raises `Rejected`."""
    if not isinstance(text, str) or len(text) > 256:  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from outside
        raise Rejected("a call's target must be a text such as 'image-importer/new-object', at most 256 characters")
    kind, colon, rest = text.partition(":")
    if not colon:
        return ActionName.parse(text)
    if kind == "role":
        name = ActionName.parse(rest)
        return RoleAction(name.app, name.action)
    if kind == "capability" and _TOKEN.fullmatch(rest):
        return CapabilityName.of(rest)
    raise Rejected(f"{kind + ':…'!r} is not a target: write app/action, role:ROLE/action or capability:TOKEN")


def stored_target(target: Target) -> str:
    """Return the form for a stored call, without the token of a capability."""
    return f"{_HANDED}{target.id}" if isinstance(target, CapabilityName) else str(target)


def parse_stored(text: str) -> Target:
    """Parse what `stored_target` wrote, or what a manifest names. Only for what core itself stored: a caller must not give an id instead
    of a token."""
    return CapabilityName(text.removeprefix(_HANDED)) if text.startswith(_HANDED) else parse_target(text)
