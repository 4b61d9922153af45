"""The nats-server's configuration, as text. JSON is a subset of its format, so values are quoted as JSON.

Two accounts without any import or export between them: CORE holds JetStream, APPS the calls. So an app can neither
publish nor subscribe to a subject of the log, of JetStream's API or of core's own replies. INSPECT reads CORE and
changes nothing. SYS has one user, which reloads the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from eventstore.server.identity import Identity
from eventstore.server.inspect import INSPECT, core_exports, inspect_account
from pcloud.subject import CALL_SUBJECTS, call_subjects

__all__ = ["app_user", "render_config"]

SUBSCRIPTIONS = 1000
UNLIMITED = 2**60  # bytes


def app_user(app: str, public_nkey: str) -> dict[str, Any]:
    """One app's user: receives its own calls, in its own queue group, and answers core. It has no other rights."""
    return {
        "nkey": public_nkey,
        "permissions": {
            "publish": {"allow": [f"_INBOX.core.{app}.>"]},
            "subscribe": {"allow": [f"{call_subjects(app)} {app}"]},
        },
    }


def render_config(folder: Path, host: str, port: int, identity: Identity, app_users: Mapping[str, str]) -> bytes:
    """The whole file. `app_users`: public nkey by app."""
    accounts = {
        "CORE": {
            "jetstream": "enabled",
            "users": [_password_user(identity.core.user, identity.core_password)],
            "exports": core_exports(),
        },
        INSPECT: inspect_account(_password_user(identity.inspector.user, identity.inspector_password)),
        "APPS": {
            # A limit per connection; without it, one app could fill the server's memory, and with it the log's.
            "limits": {"max_subscriptions": SUBSCRIPTIONS},
            "users": [
                {
                    **_password_user(identity.dispatcher.user, identity.dispatcher_password),
                    "permissions": {"publish": {"allow": [CALL_SUBJECTS]}, "subscribe": {"allow": ["_INBOX.core.>"]}},
                },
                *(app_user(app, nkey) for app, nkey in sorted(app_users.items())),
            ],
        },
        "SYS": {"users": [_password_user(identity.operator.user, identity.operator_password)]},
    }
    config = {
        "server_name": identity.server_name,
        "host": host,
        "port": port,
        "pid_file": str(folder / "nats.pid"),
        "log_file": str(folder / "nats.log"),
        "logfile_size_limit": 10_000_000,
        "logfile_max_num": 3,
        "jetstream": {
            "store_dir": str(folder / "jetstream"),
            # The default loses acknowledged writes when the power fails (Jepsen, NATS 2.12.1).
            "sync_interval": "always",
            # The server refuses to start a stream whose `max_bytes` it could not promise within this. The disk is watched
            # instead, so a small one can hold a log. Without a figure, it would be three quarters of the space that is
            # free at this start.
            "max_file_store": UNLIMITED,
            "max_memory_store": 256 * 2**20,
        },
        "system_account": "SYS",
        "accounts": accounts,
    }
    return msgspec.json.format(msgspec.json.encode(config), indent=2)


def _password_user(user: str, password: str) -> dict[str, Any]:
    return {"user": user, "password": password}
