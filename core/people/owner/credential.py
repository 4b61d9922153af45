"""The owner's credential: 160 random bits, shown once; the log holds only its SHA-256.

A plain hash suffices because a random token of that length can't be guessed; a slow hash would only slow each
request down.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from core.access.caller import OWNER as PERSON
from core.graph.command import Commands, EntityChange
from pcloud.errors import Forbidden
from pcloud.subject import Ref
from projections.directory import Directory, Owner

__all__ = ["OWNER", "change_credential", "credential_name", "make_owner", "new_token", "token_hash", "verify_owner"]

OWNER = Ref("core", "Owner", "owner")


def new_token(prefix: str) -> str:
    """Return a new credential such as `owner_7mq…`, with letters and digits that are easy to distinguish when typed from a screen."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(20)).decode().lower()}"


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def credential_name(token: str) -> str:
    """Return the name by which sessions and links record their credential."""
    return Owner(OWNER.id, token_hash(token)).credential


async def make_owner(directory: Directory, commands: Commands) -> str | None:
    """Make the credential and return it; return None if it was made before."""
    if directory.owner() is not None:
        return None
    token = new_token("owner")
    change = EntityChange(OWNER, "add", set={"tokenHash": token_hash(token)}, must_not_exist=True)
    await commands.write(PERSON.actor, [change])
    return token


async def change_credential(directory: Directory, commands: Commands, present: str | None) -> str:
    """Replace the credential and return the new one. The same event invalidates the old one and ends every session and
    every link made with it.

    `present`: the credential to replace; None for callers that need not know it. Raises `Forbidden`, and `Conflict`
    if it is being changed elsewhere at the same time.
    """
    version = (await directory.graph.entities([OWNER]))[OWNER].version
    if present is not None and not verify_owner(directory, present):
        raise Forbidden("this is not the present credential: nothing was changed")
    token = new_token("owner")
    change = EntityChange(OWNER, "update", set={"tokenHash": token_hash(token)}, seen=version)
    await commands.write(PERSON.actor, [change], urgent=True)
    return token


def verify_owner(directory: Directory, token: str) -> bool:
    owner = directory.owner()
    return owner is not None and hmac.compare_digest(owner.token_hash, token_hash(token))
