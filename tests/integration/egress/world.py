"""A world outside for apps in real sandboxes: names, real servers for them, and a certificate authority. No test reaches the internet.

What is public here are the addresses in 127.77.0.0/16, on which the servers listen; on everything else core's own rules decide.
"""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.access.grant import grant_id
from core.apps.egress import Egress, Outside
from core.apps.egress.address import own_interfaces, refusal
from projections.directory import Grant

__all__ = ["PUBLIC", "Book", "World", "certificates", "granted", "open_world"]

PUBLIC = "127.77.0.1"
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Book:
    """Stands in for the audit log: keeps the records."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def refused(
        self, kind: str, actor: str, target: str, what: str, *, outcome: str = "FORBIDDEN", **more: Any
    ) -> None:
        self.records.append({"kind": kind, "actor": actor, "target": target, "what": what, "outcome": outcome})

    def noted(self, record: Mapping[str, Any]) -> None:
        self.records.append(dict(record))

    def refusals(self) -> list[tuple[str, str]]:
        """Return target and reason of each."""
        return [(record["target"], record["what"]) for record in self.records if record["outcome"] != "OK"]


@dataclass
class World:
    """`names`: the answers of each name, one after another; the last one stays. `asked`: names in the order of the questions.
    `heard`: the addresses of servers that were connected to."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    book: Book = field(default_factory=Book)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def egress(self) -> Egress:
        return Egress(Outside(self._resolve, _refusal), self.book)  # type: ignore[arg-type] - as much of it as is used

    async def _resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        answers = self.names.get(name)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def serve(
        self, handle: Handle, address: str = PUBLIC, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> int:
        """Start a real server; return its port."""

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.heard.append(address)
            try:
                await handle(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(served, address, port, ssl=tls)
        self.stack.push_async_callback(_closed, server)
        return server.sockets[0].getsockname()[1]


async def _closed(server: asyncio.Server) -> None:
    server.close()


def _refusal(address: str, home: bool) -> str:
    return "" if address.startswith("127.77.") else refusal(address, own_interfaces(), home=home)


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    world = World()
    async with world.stack:
        yield world


def granted(*targets: str, app: str = "tiny") -> list[Grant]:
    return [Grant(app, "network", one, state="approved", id=grant_id(app, "network", one)) for one in targets]


def certificates(folder: Path, *names: str) -> ssl.SSLContext:
    """A server's context with a certificate for these names; its authority's is at `folder`/ca.pem."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    authority = _certificate("authority", keys[0], keys[0], x509.BasicConstraints(ca=True, path_length=0))
    own = _certificate("server", keys[1], keys[0], alternatives)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "own.pem").write_bytes(
        keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + own.public_bytes(pem)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "own.pem")
    return context


def _certificate(name: str, key: Any, signer: Any, extension: x509.ExtensionType) -> x509.Certificate:
    def common(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    usage = x509.KeyUsage(True, False, False, False, False, name == "authority", name == "authority", False, False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = x509.CertificateBuilder(common("authority"), common(name), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=30))
    builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    builder = builder.add_extension(usage, True).add_extension(identifier, False).add_extension(issuer, False)
    return builder.sign(signer, hashes.SHA256())
