"""The owner's credential: 160 random bits, shown once; the log holds only its SHA-256.

A plain hash suffices because nobody can guess a random token of that length; a slow one would only slow each request down.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from core.command import Commands, NodeChange
from pcloud.subject import Ref
from projections.graph.port import GraphStore

__all__ = ["OWNER", "make_owner", "new_token", "owner_exists", "token_hash", "verify_owner"]

OWNER = Ref("core", "Owner", "owner")


def new_token(prefix: str) -> str:
    """A fresh credential such as `owner_7mq…`: letters and digits that are told apart easily when typed from a screen."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(20)).decode().lower()}"


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


async def owner_exists(graph: GraphStore) -> bool:
    return (await graph.nodes([OWNER]))[OWNER].exists


async def make_owner(graph: GraphStore, commands: Commands) -> str | None:
    """Make the credential if there is none yet and return it; None when it was made before."""
    if await owner_exists(graph):
        return None
    token = new_token("owner")
    change = NodeChange(OWNER, "add", set={"tokenHash": token_hash(token)}, must_not_exist=True)
    await commands.write("owner", [change])
    return token


async def verify_owner(graph: GraphStore, token: str) -> bool:
    node = (await graph.nodes([OWNER]))[OWNER]
    return node.exists and hmac.compare_digest(str(node.fields.get("tokenHash", "")), token_hash(token))
