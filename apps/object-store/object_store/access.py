"""Decides who may do what with which bucket. Pure.

Core has already checked that the caller was granted the action at all. If a person acts through an app, the caller is
that app. In addition:

- a bucket belongs to the app (or the owner) that made it;
- reading (`get-object`, `list-objects`) is open to every app that was granted the call: the owner approved that grant;
- writing and deleting is for the bucket's app, the owner and the owner's devices;
- credentials, usage and export are for the bucket's app and the owner. Only the owner may have them made for another
holder: a device.
"""

from __future__ import annotations

from pcloud.errors import Forbidden

__all__ = ["OWNER", "is_owner", "may_administer", "may_create", "may_hold", "may_write"]

OWNER = "person:owner"


def is_owner(caller: str) -> bool:
    """The owner, or core on the owner's behalf: both may do everything."""
    return caller in (OWNER, "core")


def may_create(caller: str) -> None:
    if not (is_owner(caller) or caller.startswith("app:")):
        raise Forbidden(f"{caller or 'an unknown caller'} may not make buckets: only apps and the owner do")


def may_write(caller: str, bucket: str, owner: str) -> None:
    if not (is_owner(caller) or caller == owner or caller.startswith("device:")):
        raise Forbidden(f"{caller} may not write to the bucket {bucket}: it belongs to {owner}")


def may_administer(caller: str, bucket: str, owner: str) -> None:
    if not (is_owner(caller) or caller == owner):
        raise Forbidden(f"{caller} may not manage the bucket {bucket}: it belongs to {owner}")


def may_hold(caller: str, holder: str) -> None:
    """Return True if the caller may have credentials made for this holder."""
    if holder and not is_owner(caller):
        raise Forbidden(f"{caller} can't have credentials made for {holder[:80]}: it may only have its own")
