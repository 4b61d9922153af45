"""The owner's credential: 160 random bits, shown once; the log holds only its SHA-256.

A plain hash suffices because nobody can guess a random token of that length; a slow one would only slow each request down.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from core.access.caller import OWNER as PERSON
from core.graph.command import Commands, NodeChange
from pcloud.errors import Forbidden
from pcloud.subject import Ref
from projections.directory import Directory, Owner

__all__ = ["OWNER", "change_credential", "credential_name", "make_owner", "new_token", "token_hash", "verify_owner"]

OWNER = Ref("core", "Owner", "owner")


def new_token(prefix: str) -> str:
    """A fresh credential such as `owner_7mq…`: letters and digits that are told apart easily when typed from a screen."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(20)).decode().lower()}"


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def credential_name(token: str) -> str:
    """By which sessions and links say to which credential they go back."""
    return Owner(OWNER.id, token_hash(token)).credential


async def make_owner(directory: Directory, commands: Commands) -> str | None:
    """Make the credential if there is none yet and return it; None when it was made before."""
    if directory.owner() is not None:
        return None
    token = new_token("owner")
    change = NodeChange(OWNER, "add", set={"tokenHash": token_hash(token)}, must_not_exist=True)
    await commands.write(PERSON.actor, [change])
    return token


async def change_credential(directory: Directory, commands: Commands, present: str | None) -> str:
    """Replace the credential and return the new one. With that one event the old one is refused, and every session and every link that
    goes back to it has ended.

    `present`: the one that it replaces; None for who need not know it. Raises `Forbidden`, and `Conflict` where it is being changed from
    elsewhere too.
    """
    version = (await directory.graph.nodes([OWNER]))[OWNER].version
    if present is not None and not verify_owner(directory, present):
        raise Forbidden("this is not the present credential: nothing was changed")
    token = new_token("owner")
    change = NodeChange(OWNER, "update", set={"tokenHash": token_hash(token)}, seen=version)
    await commands.write(PERSON.actor, [change], urgent=True)
    return token


def verify_owner(directory: Directory, token: str) -> bool:
    owner = directory.owner()
    return owner is not None and hmac.compare_digest(owner.token_hash, token_hash(token))
