"""The grammar of names (apps, types, ids) and of the NATS subjects that are made of them.

    graph.<app>.<Type>.<id>      one entity; its messages are its history (`Ref`)
    work.<app>.<action>.<id>     one durable call that waits              (`ActionRef`)
    run.<app>.<action>.<id>      the state of one run                     (`ActionRef`)
    call.<app>.<action>          one call, on its way to the app
    audit.<kind>                 audit records of one kind

Other modules build these subjects and take them apart only with what is here. Subjects of the server and of the clients' libraries
(`$JS.`, `$KV.`, `$O.`, `_INBOX.`) belong to the modules that use them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pcloud.errors import Rejected

__all__ = [
    "AUDIT_SUBJECTS", "CALL_SUBJECTS", "GRAPH_SUBJECTS", "RESERVED_APPS", "RUN_SUBJECTS", "WORK_SUBJECTS", "ActionRef", "Ref",
    "TypeName", "audit_subject", "call_subject", "call_subjects", "check_action", "check_app", "check_field", "check_id",
    "check_type", "graph_subjects", "new_id", "run_subjects", "split_name", "type_name", "work_subjects",
]  # fmt: skip

GRAPH_SUBJECTS = "graph.>"
WORK_SUBJECTS = "work.>"
RUN_SUBJECTS = "run.>"
CALL_SUBJECTS = "call.>"
AUDIT_SUBJECTS = "audit.>"

# Names of core's own, of hosts that it answers at, and `owner`: a capability that the owner gave says so in place of an app.
RESERVED_APPS = frozenset({"core", "console", "api", "s3", "www", "owner"})
_APP = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*")
_ACTION = _APP
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_FIELD = re.compile(r"[a-zA-Z][A-Za-z0-9_]{0,63}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
APP_LENGTH = 40


def check_app(name: object, *, reserved: bool = False) -> str:
    """Return `name` if it is a valid app name, else raise `Rejected`; `reserved=True` also accepts core's own names."""
    if not isinstance(name, str) or len(name) > APP_LENGTH or not _APP.fullmatch(name):
        raise Rejected(
            f"{name!r} is not an app name: use small letters, digits and single hyphens, at most {APP_LENGTH} characters, "
            "such as 'face-detector'"
        )
    if not reserved and name in RESERVED_APPS:
        raise Rejected(f"the app name {name!r} is reserved: choose another one than {', '.join(sorted(RESERVED_APPS))}")
    return name


def check_action(name: object) -> str:
    if not isinstance(name, str) or len(name) > APP_LENGTH or not _ACTION.fullmatch(name):
        raise Rejected(
            f"{name!r} is not an action name: use small letters, digits and single hyphens, such as 'new-object'"
        )
    return name


def check_type(name: object) -> str:
    if not isinstance(name, str) or not _TYPE.fullmatch(name) or "__" in name:
        raise Rejected(f"{name!r} is not a type name: use a GraphQL name such as 'ImageSegment', at most 64 characters")
    return name


def check_field(name: object) -> str:
    if not isinstance(name, str) or not _FIELD.fullmatch(name) or "__" in name:
        raise Rejected(f"{name!r} is not a field name: use a GraphQL name such as 'takenAt', at most 64 characters")
    return name


def check_id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Rejected(f"{value!r} is not an id: use 1 to 64 of the characters A-Z a-z 0-9 _ and -")
    return value


def new_id() -> str:
    """A new UUIDv7 (RFC 9562) as 32 hexadecimal digits. Later ids sort after earlier ones."""
    import uuid_utils

    return uuid_utils.uuid7().hex


def split_name(text: str) -> tuple[str, str]:
    """Split the stored name of a type, added field, action or trigger: `photos/Image` into `photos` and `Image`. A plain
    name has the app ''. Checks nothing."""
    app, _, name = text.rpartition("/")
    return app, name


class TypeName(NamedTuple):
    """A type in its app's namespace, written `image-importer/Image`."""

    app: str
    type: str

    def __str__(self) -> str:
        return f"{self.app}/{self.type}"

    @classmethod
    def parse(cls, text: str) -> TypeName:
        """Parse `app/Type`; raises `Rejected`."""
        app, slash, name = text.partition("/")
        if not slash:
            raise Rejected(f"{text!r} is not a type: write app/Type, such as 'image-importer/Image'")
        return cls(check_app(app, reserved=True), check_type(name))

    @classmethod
    def stored(cls, text: str) -> TypeName:
        """Like `parse`, for a name that was checked before it was stored."""
        return cls(*split_name(text))

    @property
    def subjects(self) -> str:
        """The subjects of all entities of the type."""
        return f"graph.{self.app}.{self.type}.*"

    def ref(self, id: str) -> Ref:
        """One entity of the type; checks nothing."""
        return Ref(self.app, self.type, id)


def type_name(text: str | TypeName) -> TypeName:
    return text if isinstance(text, TypeName) else TypeName.parse(text)


class Ref(NamedTuple):
    """One entity: its app, type and id. Written `image-importer/Image/ID`, on the log
    `graph.image-importer.Image.ID`."""

    app: str
    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.app}/{self.type}/{self.id}"

    @property
    def subject(self) -> str:
        return f"graph.{self.app}.{self.type}.{self.id}"

    @property
    def type_name(self) -> TypeName:
        return TypeName(self.app, self.type)

    @classmethod
    def make(cls, app: str, type: str, id: str) -> Ref:
        """A checked reference; raises `Rejected` for a name outside the grammar."""
        return cls(check_app(app, reserved=True), check_type(type), check_id(id))

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Parse either written form; raises `Rejected`."""
        parts = text.split("/") if "/" in text else text.removeprefix("graph.").split(".")
        if len(parts) != 3:
            raise Rejected(f"{text!r} is not an entity: write app/Type/id")
        return cls.make(*parts)

    @classmethod
    def of_subject(cls, subject: str) -> Ref:
        """The entity of a message of GRAPH. Raises `ValueError` for a subject of another length; checks nothing else."""
        _, app, type, id = subject.split(".")
        return cls(app, type, id)


class ActionRef(NamedTuple):
    """One durable call or one run: its app, action and id."""

    app: str
    action: str
    id: str

    @property
    def work_subject(self) -> str:
        """Raises `Rejected` for a name outside the grammar; core takes no durable calls."""
        return f"work.{check_app(self.app)}.{check_action(self.action)}.{check_id(self.id)}"

    @property
    def run_subject(self) -> str:
        """Raises `Rejected` for a name outside the grammar."""
        return f"run.{check_app(self.app, reserved=True)}.{check_action(self.action)}.{check_id(self.id)}"

    @classmethod
    def of_subject(cls, subject: str) -> ActionRef:
        """The call or run of a message of WORK or RUNS. Parts that a subject lacks are ''; checks nothing."""
        _, app, action, id = (*subject.split(".", 3), "", "", "")[:4]
        return cls(app, action, id)


def graph_subjects(app: str) -> str:
    """The subjects of all entities of the app's types."""
    return f"graph.{check_app(app, reserved=True)}.>"


def work_subjects(app: str) -> str:
    """The subjects of all durable calls that wait for the app."""
    return f"work.{check_app(app)}.>"


def run_subjects(app: str) -> str:
    """The subjects of all runs of the app's actions."""
    return f"run.{check_app(app, reserved=True)}.>"


def call_subject(app: str, action: str) -> str:
    """Where the app listens for calls of this action, in the bus' account APPS."""
    return f"call.{app}.{action}"


def call_subjects(app: str) -> str:
    """The subjects of all calls of the app's actions."""
    return f"call.{app}.>"


def audit_subject(kind: str) -> str:
    """The subject of audit records of one kind, such as `call`."""
    return f"audit.{kind}"
