"""The account from which a person looks at the log and can't change it: what `pcloud nats` signs in to unless told otherwise.

It is an account of its own, not a user of CORE with fewer rights. Within CORE the server would send its answer wherever the
asker says, and an answer that is sent to `graph.…` or to `$JS.API.STREAM.PURGE.GRAPH` is a write. Here an answer stays here.

Nothing that makes a consumer is let through: a consumer may be told to deliver to any subject, which again would be a write.
So `nats stream view` is not to be had from here; `nats subscribe --direct --stream GRAPH` reads the same.
"""

from __future__ import annotations

from typing import Any

__all__ = ["INSPECT", "core_exports", "inspect_account"]

INSPECT = "INSPECT"
# What may be asked of JetStream: facts and messages.
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
# Answered by many messages.
READINGS = ("$JS.API.DIRECT.GET.>",)
# What may be heard as it happens: all streams, and what JetStream tells of itself.
HEARD = ("graph.>", "work.>", "run.>", "timer.>", "audit.>", "$KV.>", "$O.>", "$JS.EVENT.>")
# Who am I: the server answers it to anybody who is signed in.
WHO = "$SYS.REQ.USER.INFO"


def core_exports() -> list[dict[str, Any]]:
    """What the account CORE lets this one see."""
    return [
        *({"service": subject, "accounts": [INSPECT]} for subject in QUESTIONS),
        *({"service": subject, "accounts": [INSPECT], "response_type": "stream"} for subject in READINGS),
        *({"stream": subject, "accounts": [INSPECT]} for subject in HEARD),
    ]


def inspect_account(user: dict[str, Any]) -> dict[str, Any]:
    """The account with its one user, who may publish questions alone."""
    asked = [*QUESTIONS, *READINGS]
    return {
        "users": [{**user, "permissions": {"publish": {"allow": [*asked, WHO]}}}],
        "imports": [
            *({"service": {"account": "CORE", "subject": subject}} for subject in asked),
            *({"stream": {"account": "CORE", "subject": subject}} for subject in HEARD),
        ],
    }
