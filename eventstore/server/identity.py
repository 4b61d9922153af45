"""What the embedded server keeps between its starts: its name, its port and its users' passwords, in one file of mode
0600."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from eventstore.settings import Credentials
from pcloud.errors import Corrupt

__all__ = ["Identity", "load_identity", "save_private"]


class Identity(msgspec.Struct, frozen=True):
    """`server_name` must be unique within a cluster; `port` is 0 until the first start."""

    server_name: str
    port: int
    core_password: str
    dispatcher_password: str
    operator_password: str
    inspector_password: str = ""  # missing in older files

    @property
    def core(self) -> Credentials:
        """Account CORE: JetStream and everything in it."""
        return Credentials("core", self.core_password)

    @property
    def dispatcher(self) -> Credentials:
        """Account APPS: publishes `call.>`, subscribes to `_INBOX.core.>`."""
        return Credentials("dispatcher", self.dispatcher_password)

    @property
    def inspector(self) -> Credentials:
        """Account INSPECT: reads all of CORE, changes nothing."""
        return Credentials("inspector", self.inspector_password)

    @property
    def operator(self) -> Credentials:
        """Account SYS: makes the server read its configuration again."""
        return Credentials("operator", self.operator_password)


def load_identity(path: Path) -> Identity:
    """Read the file, or create it; raises `Corrupt` if it can't be read."""
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=Identity)
        if identity.inspector_password:
            return identity
        return msgspec.structs.replace(identity, inspector_password=secrets.token_urlsafe(24))
    except FileNotFoundError:
        identity = Identity(
            server_name=f"pcloud-{secrets.token_hex(4)}",
            port=0,
            core_password=secrets.token_urlsafe(24),
            dispatcher_password=secrets.token_urlsafe(24),
            operator_password=secrets.token_urlsafe(24),
            inspector_password=secrets.token_urlsafe(24),
        )
        save_private(path, msgspec.json.encode(identity))
        return identity
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"{path} can't be read ({error}): restore it from a backup, or delete it for new credentials"
        ) from error


def save_private(path: Path, content: bytes) -> None:
    """Write so that readers get the old or the new content, never a part, and only this user can read it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
