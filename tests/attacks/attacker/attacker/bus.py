"""The NATS protocol, spoken by hand so that no library restrains an attack.
https://docs.nats.io/reference/reference-protocols/nats-protocol"""

import base64
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from attacker import ed25519

__all__ = ["Bus", "Message"]


class Message(NamedTuple):
    subject: str
    reply: str
    headers: dict[str, str]
    data: bytes


def own_seed() -> bytes:
    """The 32 bytes behind the app's nkey: after a prefix of two, before a checksum of two."""
    text = Path(os.environ["NATS_NKEY_SEED_FILE"]).read_text().strip()
    return base64.b32decode(text + "=" * (-len(text) % 8))[2:34]


class Bus:
    """One connection, signed in with the app's own key, or with exactly these `options`."""

    def __init__(self, name: str = "attacker", **options: str) -> None:
        url = urlsplit(os.environ["NATS_URL"])
        self.socket = socket.create_connection((url.hostname, url.port), timeout=20)
        self.file = self.socket.makefile("rb")
        self.refused: list[str] = []
        self.heard: list[Message] = []
        self._lock = threading.Lock()
        self._sid = 0
        info = json.loads(self.file.readline().partition(b" ")[2])
        if not options:
            seed = own_seed()
            public = bytes([20 << 3]) + ed25519.public_key(seed)
            public += crc16(public).to_bytes(2, "little")
            signature = ed25519.sign(seed, info["nonce"].encode())
            options = {
                "nkey": base64.b32encode(public).decode().rstrip("="),
                "sig": base64.urlsafe_b64encode(signature).decode().rstrip("="),
            }
        connect = {"verbose": False, "headers": True, "no_responders": True, "name": name, "lang": "by-hand", **options}
        self.send(f"CONNECT {json.dumps(connect)}\r\n".encode())

    def send(self, data: bytes) -> None:
        with self._lock:
            self.socket.sendall(data)

    def publish(self, subject: str, data: bytes = b"", reply: str = "", headers: dict[str, str] | None = None) -> None:
        if not headers:
            return self.send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")
        head = b"NATS/1.0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items()) + b"\r\n"
        return self.send(
            f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n".encode() + head + data + b"\r\n"
        )

    def subscribe(self, subject: str, queue: str = "") -> None:
        self._sid += 1
        self.send(f"SUB {subject} {queue} {self._sid}\r\n".encode())

    def settle(self) -> list[str]:
        """Wait until the server has judged everything that was sent; return what it has refused so far."""
        self.send(b"PING\r\n")
        while (message := self._next()) is not None:
            self.heard.append(message)
        return self.refused

    def messages(self) -> Iterator[Message]:
        self.socket.settimeout(None)
        while True:
            if (message := self._next()) is not None:
                yield message

    def _next(self) -> Message | None:
        """Return the next message; None at a PONG. Raises `EOFError` if the server has cut the connection."""
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError("cut")
            word, *rest = line.decode().split()
            if word == "PONG":
                return None
            if word == "PING":
                self.send(b"PONG\r\n")
            elif word == "-ERR":
                self.refused.append(line.decode()[5:].strip().strip("'"))
            elif word in ("MSG", "HMSG"):
                return self._message(word, rest)

    def _message(self, word: str, rest: list[str]) -> Message:
        size = int(rest[-1])
        head = int(rest[-2]) if word == "HMSG" else 0
        places = rest[: -2 if word == "HMSG" else -1]
        raw = self.file.read(size + 2)[:-2]
        lines = [line.partition(":") for line in raw[:head].decode().split("\r\n")[1:] if line]
        headers = {name.strip(): value.strip() for name, _, value in lines}
        return Message(places[0], places[2] if len(places) > 2 else "", headers, raw[head:])


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM, the checksum at the end of nkeys."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc
