"""Signatures of ssh keys as `ssh-keygen -Y sign` makes them (OpenSSH's PROTOCOL.sshsig); they are only verified here.

The public key is part of the signature. Supported: Ed25519, ECDSA (nistp256, 384, 521) and RSA from 2048 bits with
SHA-2; nothing older, and no keys on a security token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from pcloud.errors import Rejected

__all__ = ["BEGIN", "verify"]

BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"
MAGIC = b"SSHSIG"
DIGESTS = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
RSA_HASHES = {b"rsa-sha2-256": hashes.SHA256, b"rsa-sha2-512": hashes.SHA512}
CURVE_HASHES = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}
LEAST_RSA_BITS = 2048


def verify(text: str, content: bytes, namespace: str) -> str:
    """Return the fingerprint (`SHA256:…`) of the key if its signature is valid; raises `Rejected`."""
    blob = _dearmoured(text)
    if blob[:10] != MAGIC + struct.pack(">I", 1):
        raise Rejected("the archive's ssh signature is of an unknown version")
    key, space, reserved, digest, signature = _strings(blob[10:], 5)
    if space != namespace.encode():
        raise Rejected(
            f"the archive's ssh signature is for {space.decode(errors='replace')!r}: make it with "
            f"`ssh-keygen -Y sign -n {namespace}`"
        )
    if digest not in DIGESTS:
        raise Rejected("the archive's ssh signature uses an unknown hash: sha256 and sha512 are known")
    message = MAGIC + b"".join(
        struct.pack(">I", len(part)) + part for part in (space, reserved, digest, DIGESTS[digest](content).digest())
    )
    algorithm, raw = _strings(signature, 2)
    try:
        _check(key, algorithm, raw, message)
    except InvalidSignature:
        raise Rejected(
            "the archive's signature is not valid: the archive or the signature was changed after signing; get it again"
        ) from None
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _check(key: bytes, algorithm: bytes, raw: bytes, message: bytes) -> None:
    """Raises `InvalidSignature`, or `Rejected` if the key is too weak or of another kind than the signature."""
    (kind,) = _strings(key, 1, rest=True)
    try:
        public = load_ssh_public_key(kind + b" " + base64.b64encode(key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected(f"the archive is signed with an ssh key that can't be used here: {error}") from error
    if isinstance(public, Ed25519PublicKey) and algorithm == kind:
        public.verify(raw, message)
    elif isinstance(public, ec.EllipticCurvePublicKey) and algorithm == kind:
        r, s = _strings(raw, 2)
        der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        public.verify(der, message, ec.ECDSA(CURVE_HASHES[public.key_size]()))
    elif isinstance(public, RSAPublicKey) and algorithm in RSA_HASHES and public.key_size >= LEAST_RSA_BITS:
        public.verify(raw, message, padding.PKCS1v15(), RSA_HASHES[algorithm]())
    else:
        raise Rejected(
            "the archive is signed with an ssh key that is not supported: use ed25519, ecdsa, or rsa from 2048 bits"
        )


def _dearmoured(text: str) -> bytes:
    lines = text.removesuffix("\n").split("\n")
    try:
        if lines[0] != BEGIN or lines[-1] != END:
            raise ValueError("it does not end as it begins")
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected(f"the archive's ssh signature can't be read: {error}") from error


def _strings(data: bytes, count: int, *, rest: bool = False) -> list[bytes]:
    """Read `count` strings, each behind its length (RFC 4251, 5); bytes after them are refused unless a `rest` is allowed."""
    found: list[bytes] = []
    at = 0
    for _ in range(count):
        if at + 4 > len(data):
            raise Rejected("the archive's ssh signature is cut short")
        (length,) = struct.unpack_from(">I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at > len(data) or (at < len(data) and not rest):
        raise Rejected("the archive's ssh signature has another length than its header says")
    return found
