"""The environment of an app's process, as set by the node: its name, the addresses of the gateway and the bus, its
folder and its settings.

It is read once, at its first use, and never changes. No other module of the SDK reads environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pcloud.errors import Rejected
from pcloud.subject import check_app

__all__ = ["Environment"]


@dataclass(frozen=True, slots=True)
class Environment:
    """`url`: the gateway, `unix:///path` or `http://host:port`. `port`: for the app's own web server, 0 without one.

    Secrets are stored as paths to files, so that no log line and no child process gets them by accident.
    """

    name: str
    url: str
    nats_url: str = ""
    nkey_seed_file: Path | None = None
    data: Path = Path()
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    port: int = 0
    web_key_file: Path | None = None

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        """Read the environment variables; raises `Rejected` with the name of the one that is missing or wrong."""
        return cls(
            name=check_app(_needed(variables, "PCLOUD_APP")),
            url=_needed(variables, "PCLOUD_URL"),
            nats_url=variables.get("NATS_URL", ""),
            nkey_seed_file=_path(variables, "NATS_NKEY_SEED_FILE"),
            data=Path(_needed(variables, "PCLOUD_DATA")),
            settings=_settings(variables.get("PCLOUD_SETTINGS", "")),
            port=_port(variables.get("PORT", "")),
            web_key_file=_path(variables, "PCLOUD_WEB_KEY_FILE"),
        )


def _needed(variables: Mapping[str, str], name: str) -> str:
    if value := variables.get(name, ""):
        return value
    raise Rejected(f"the environment variable {name} is not set: a PCloud node sets it when it starts an app")


def _path(variables: Mapping[str, str], name: str) -> Path | None:
    return Path(value) if (value := variables.get(name, "")) else None


def _settings(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Rejected(f"PCLOUD_SETTINGS is not a JSON object: {error}") from error


def _port(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Rejected(f"PORT is {text!r}: it must be a number from 1 to 65535")
    return int(text)
