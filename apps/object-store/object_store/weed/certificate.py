"""The store's own certificate authority and the one certificate with which all parts of weed and this app identify
themselves.

Run as a program (`python -m object_store.weed.certificate FOLDER`) at the first start: only then is `cryptography`
needed, and the 10 MB that it takes are freed with the process. The authority's key is thrown away: it can't sign
anything else.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["Certificate", "keep_certificate"]

_YEARS = 100  # only this store trusts it, and it lies beside what it protects: an expiry would only stop a running store one day


@dataclass(frozen=True, slots=True)
class Certificate:
    authority: Path
    certificate: Path
    key: Path


async def keep_certificate(folder: Path) -> Certificate:
    """The files; created if they do not exist."""
    files = Certificate(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    if not all(file.exists() for file in (files.authority, files.certificate, files.key)):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, str(folder),
            stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        _, told = await process.communicate()
        if process.returncode:
            raise Unavailable(
                f"no certificate could be made in {folder}: {told.decode(errors='replace').strip()[-300:]}"
            )
    return files


def make_certificate(folder: Path, name: str = "127.0.0.1") -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from object_store.weed.secret import write_private

    def common(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def build(subject: str, public: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        start = datetime.now(UTC) - timedelta(days=1)
        builder = (
            x509.CertificateBuilder(common("PCloud object store"), common(subject), public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=365 * _YEARS))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )
        return builder.sign(authority_key, hashes.SHA256())

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = build("PCloud object store", authority_key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name)), x509.DNSName("localhost")])
    certificate = build(name, key.public_key(), addresses)
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    write_private(folder / "key.pem", key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    write_private(folder / "certificate.pem", certificate.public_bytes(pem))
    write_private(folder / "ca.pem", authority.public_bytes(pem))


if __name__ == "__main__":
    make_certificate(Path(sys.argv[1]))
