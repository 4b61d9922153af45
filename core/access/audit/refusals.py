"""What core itself refuses besides calls: requests to the API, and archives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from core.access.audit.log import Audit
from core.access.caller import OWNER, Caller
from pcloud.errors import Forbidden, PCloudError, Rejected

__all__ = ["api_refused", "archive_audited"]


def api_refused(audit: Audit, caller: Caller, errors: Sequence[Mapping[str, Any]]) -> None:
    """The errors of one GraphQL answer. What somebody may not do is written down; what makes no sense (a type that is not in the view,
    a query that is too large) only where an app, or the page of one, asked for it: people mistype."""
    telling = {Forbidden.code, Rejected.code} if caller.view_app else {Forbidden.code}
    for error in errors:
        if (code := error["extensions"]["code"]) in telling:
            where = ".".join(str(step) for step in error.get("path", ()))
            audit.refused(
                "api", caller.actor, where or "graphql", error["message"], outcome=code, through=caller.through
            )


@asynccontextmanager
async def archive_audited(audit: Audit, sha256: str, actor: str = OWNER.actor) -> AsyncIterator[None]:
    """Writes it down, under the archive's `sha256`, when it is refused within."""
    try:
        yield
    except PCloudError as error:
        audit.refused("archive", actor, sha256, error.message, outcome=error.code)
        raise
