"""The rights on which S3 keys depend: their holder's right to call an action of this app. Pure.

Core says who may call which action, and since when without a break (a number that changes if a right was withdrawn and
given again). A key is valid as long as all rights under which it was made hold without a break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pcloud.errors import Forbidden

__all__ = ["UNKNOWN", "Callers", "Rights", "rights_of", "standing", "stood_for"]

Rights = Mapping[str, int]  # action → since when
Callers = Mapping[str, Rights]  # by caller
UNKNOWN = -1  # for a key that was made before this was recorded


def stood_for(write: bool, delete: bool) -> tuple[str, ...]:
    """The actions that do what a key can: a holder to whom another caller gave the key must be allowed to call them."""
    return ("put-object",) * write + ("delete-object",) * delete or ("get-object", "list-objects")


def rights_of(callers: Callers, holder: str, actions: Iterable[str]) -> dict[str, int]:
    """The holder's rights to these actions; raises `Forbidden` if one is missing."""
    granted = callers.get(holder, {})
    for action in actions:
        if action not in granted:
            raise Forbidden(f"{holder} may not call {action} (any more)")
    return {action: granted[action] for action in actions}


def standing(rights: Rights, granted: Rights) -> dict[str, int] | None:
    """The current rights of a key, or None if one has ended since; `granted`: its holder's rights now."""
    now = dict[str, int]()
    for action, since in rights.items():
        if action not in granted or since not in (UNKNOWN, granted[action]):
            return None
        now[action] = granted[action]
    return now
