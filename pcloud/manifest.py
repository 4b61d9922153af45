"""`app.yaml`: what an application is, asks for, offers and reacts to."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["Action", "Init", "Manifest", "Run", "Trigger", "TriggerOn", "Use", "load_manifest"]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    pass


class Use(Struct, frozen=True):
    """One thing the app asks for; exactly one of `read`, `write`, `extend` (a type), `call` (an action), `network` is
    given."""

    read: str = ""
    write: str = ""
    extend: str = ""
    call: str = ""  # app/action, or role:ROLE/action
    network: str = ""
    fields: list[str] = []  # further fields of other apps on that type: [face-detector/segments]
    as_: str = msgspec.field(default="", name="as")  # the type's name in this app's view
    optional: bool = False
    reason: str = ""


class Action(Struct, frozen=True):
    """`args`: GraphQL input types by name, `{image: ID!, size: Int}`. `seconds`: hard time limit of one call."""

    name: str
    args: dict[str, str] = {}
    description: str = ""
    seconds: float = 60.0


class TriggerOn(Struct, frozen=True):
    type: str
    event: Literal["created", "updated", "deleted"] | list[Literal["created", "updated", "deleted"]] = "created"
    fields: list[str] = []  # for updated: only when one of these changed
    where: dict[str, Any] = {}  # a filter in the form of the GraphQL API: {mime: {eq: image/jpeg}}


class Trigger(Struct, frozen=True):
    name: str
    on: TriggerOn
    action: str  # an own action, or app/action, or role:ROLE/action
    args: dict[str, Any] = {}  # strings are Jinja templates over `event` and `node`
    replay: Literal["all", "new"] = "all"
    concurrency: int = 4
    order: Literal["none", "entity"] = "none"
    attempts: int = 5


class Init(Struct, frozen=True):
    call: str
    args: dict[str, Any] = {}


class Run(Struct, frozen=True):
    command: list[str]
    web: bool = False
    env: dict[str, str] = {}


class Manifest(Struct, frozen=True):
    name: str
    version: str
    run: Run | None = None
    title: str = ""
    description: str = ""
    schema: str = ""
    provides: list[str] = []
    uses: list[Use] = []
    actions: list[Action] = []
    triggers: list[Trigger] = []
    init: list[Init] = []
    settings: dict[str, Any] = {}  # defaults of what the owner may set


def load_manifest(text: str | bytes, file: str = "app.yaml") -> Manifest:
    """Read and check a manifest; raises `Rejected` with file, line and column, what is wrong, and what to write
    instead."""
    from pcloud.document import Document
    from pcloud.manifest_rules import check_manifest

    document = Document(text, file)
    manifest = document.read(Manifest)
    check_manifest(manifest, document)
    return manifest
