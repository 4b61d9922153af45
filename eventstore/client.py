"""nats-py's client, with a quicker reading of headers: a view that is built anew reads millions of them."""

from __future__ import annotations

from nats.aio.client import Client

__all__ = ["QuickClient"]


class QuickClient(Client):
    """Takes and leaves out the same header lines as its base does, decoding them at once instead of one by one."""

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            name = name.strip()
            if colon and name.isascii() and len(name.split(None, 1)) < 2:
                found[name] = value.strip()
        return found
