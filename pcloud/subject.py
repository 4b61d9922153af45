"""The grammar of names: apps, types, ids, and the subjects of the log that are made of them.

One subject is one entity: `graph.<app>.<Type>.<id>`. Nothing else in PCloud builds or takes apart a subject.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pcloud.errors import Rejected

__all__ = [
    "RESERVED_APPS", "Ref", "TypeName", "check_action", "check_app", "check_field", "check_id", "check_type", "new_id",
    "type_name",
]  # fmt: skip

RESERVED_APPS = frozenset({"core", "console", "api", "s3", "www"})
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
