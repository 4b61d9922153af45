"""The account with which a person reads the log and can't change it: `pcloud nats` signs in with it by default.

It is an account of its own, not a user of CORE with fewer rights. Within CORE the server would send its answer to any
subject that the request names, and an answer sent to `graph.…` or to `$JS.API.STREAM.PURGE.GRAPH` is a write. Here an
answer stays in this account.

Nothing that makes a consumer is allowed: a consumer may deliver to any subject, which again would be a write. So `nats
stream view` does not work with this account; `nats subscribe --direct --stream GRAPH` reads the same.
"""

from __future__ import annotations

from typing import Any

from pcloud.subject import AUDIT_SUBJECTS, GRAPH_SUBJECTS, RUN_SUBJECTS, WORK_SUBJECTS

__all__ = ["INSPECT", "core_exports", "inspect_account"]

INSPECT = "INSPECT"
# The requests to JetStream that are allowed: facts and messages.
QUESTIONS = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.CONSUMER.NAMES.*",
    "$JS.API.CONSUMER.LIST.*",
    "$JS.API.CONSUMER.INFO.*.*",
)
# Requests with many answers.
READINGS = ("$JS.API.DIRECT.GET.>",)
# Subjects that may be subscribed: all streams, and JetStream's own reports.
HEARD = (GRAPH_SUBJECTS, WORK_SUBJECTS, RUN_SUBJECTS, AUDIT_SUBJECTS, "$KV.>", "$O.>", "$JS.EVENT.>")
# "Who am I": the server answers it to every signed-in user.
WHO = "$SYS.REQ.USER.INFO"


def core_exports() -> list[dict[str, Any]]:
    """What the account CORE exports to this one."""
    return [
        *({"service": subject, "accounts": [INSPECT]} for subject in QUESTIONS),
        *({"service": subject, "accounts": [INSPECT], "response_type": "stream"} for subject in READINGS),
        *({"stream": subject, "accounts": [INSPECT]} for subject in HEARD),
    ]


def inspect_account(user: dict[str, Any]) -> dict[str, Any]:
    """The account with its one user, who may publish only these requests."""
    asked = [*QUESTIONS, *READINGS]
    return {
        "users": [{**user, "permissions": {"publish": {"allow": [*asked, WHO]}}}],
        "imports": [
            *({"service": {"account": "CORE", "subject": subject}} for subject in asked),
            *({"stream": {"account": "CORE", "subject": subject}} for subject in HEARD),
        ],
    }
