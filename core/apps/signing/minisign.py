"""Signatures of minisign (https://jedisct1.github.io/minisign/): verifies them, and makes them with a secret key's
file.

Both forms are read: `ED`, over the BLAKE2b-512 of the content, and the older `Ed`, over the content itself. The text
is the public key's two lines, then the signature's four: a signature alone names its key by eight bytes, which
proves nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pcloud.errors import Rejected

__all__ = ["BEGIN", "SecretKey", "is_secret_key", "read_secret_key", "sign", "verify"]

BEGIN = "untrusted comment:"
TRUSTED = "trusted comment: "
PLAIN, HASHED = b"Ed", b"ED"
KEY_BYTES, SIGNATURE_BYTES, SECRET_BYTES = 42, 74, 158
LONGEST_COMMENT = 1024
SCRYPT_MEMORY = 2**30 + 2**26  # what minisign's own keys ask for, and what the algorithm needs beside it


@dataclass(frozen=True, slots=True)
class SecretKey:
    id: bytes
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The key as minisign prints it: RWQ…"""
        return base64.b64encode(PLAIN + self.id + self.key.public_key().public_bytes_raw()).decode()


def verify(text: str, content: bytes) -> tuple[str, str]:
    """Return the public key and the trusted comment of a valid signature; raises `Rejected`."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != 6 or not (lines[0].startswith(BEGIN) and lines[2].startswith(BEGIN)):
        raise Rejected("a minisign signature must be its public key's two lines, then its own four")
    key, signature = _decoded(lines[1], KEY_BYTES), _decoded(lines[3], SIGNATURE_BYTES)
    if key[:2] != PLAIN or signature[:2] not in (PLAIN, HASHED) or not lines[4].startswith(TRUSTED):
        raise Rejected("the minisign signature is of an unknown form: sign the archive with minisign 0.7 or newer")
    if key[2:10] != signature[2:10]:
        raise Rejected("the minisign signature was made with another key than the one that comes with it")
    comment = lines[4].removeprefix(TRUSTED)
    if len(comment) > LONGEST_COMMENT:
        raise Rejected(f"the minisign signature's comment is longer than {LONGEST_COMMENT} characters")
    message = content if signature[:2] == PLAIN else hashlib.blake2b(content).digest()
    public = Ed25519PublicKey.from_public_bytes(key[10:])
    try:
        public.verify(signature[10:], message)
        public.verify(_decoded(lines[5], 64), signature[10:] + comment.encode())
    except InvalidSignature:
        raise Rejected(
            "the archive's signature is not valid: the archive or the signature was changed after signing; get it again"
        ) from None
    return lines[1], comment


def sign(secret: SecretKey, content: bytes, comment: str) -> str:
    """Return the text that `verify` reads, prehashed as minisign does it today; `comment` is signed too."""
    if not comment.isascii() or not comment.isprintable():
        raise Rejected("a signature's comment must be one line of plain ASCII")
    signature = secret.key.sign(hashlib.blake2b(content).digest())
    lines = (
        f"{BEGIN} minisign public key {secret.id[::-1].hex().upper()}",
        secret.public,
        f"{BEGIN} signature of an archive for PCloud",
        base64.b64encode(HASHED + secret.id + signature).decode(),
        TRUSTED + comment,
        base64.b64encode(secret.key.sign(signature + comment.encode())).decode(),
    )
    return "\n".join(lines) + "\n"


def is_secret_key(text: str) -> bool:
    lines = text.strip().splitlines()
    return (
        len(lines) == 2 and lines[0].startswith(BEGIN) and len(lines[1]) == len(base64.b64encode(bytes(SECRET_BYTES)))
    )


def read_secret_key(text: str, password: Callable[[], str]) -> SecretKey:
    """Return the key in a file of `minisign -G`; calls `password` if it is encrypted. Raises `Rejected`."""
    raw = _decoded(text.strip().splitlines()[1], SECRET_BYTES)
    kind, derivation, checksum = raw[:2], raw[2:4], raw[4:6]
    if kind != PLAIN or derivation not in (b"Sc", b"\0\0") or checksum != b"B2":
        raise Rejected("the minisign secret key is of an unknown form: make one with `minisign -G`")
    body = raw[54:]
    if derivation == b"Sc":
        stream = _scrypt(password(), raw[6:38], *struct.unpack("<QQ", raw[38:54]), length=len(body))
        body = bytes(one ^ other for one, other in zip(body, stream, strict=True))
    id, key, check = body[:8], body[8:72], body[72:]
    # minisign writes no checksum into a key without a password.
    expected = hashlib.blake2b(PLAIN + id + key, digest_size=32).digest() if derivation == b"Sc" else bytes(32)
    if not hmac.compare_digest(expected, check):
        raise Rejected("the password does not open the minisign secret key")
    return SecretKey(id, Ed25519PrivateKey.from_private_bytes(key[:32]))


def _scrypt(password: str, salt: bytes, operations: int, memory: int, *, length: int) -> bytes:
    """scrypt with parameters chosen as libsodium does (`pickparams` of crypto_pwhash_scryptsalsa208sha256)."""
    operations, r = max(operations, 32768), 8
    most = operations // (r * 4) if operations < memory // 32 else memory // (r * 128)
    log = next(bits for bits in range(1, 64) if 2**bits > most // 2)
    p = 1 if operations < memory // 32 else min(operations // 4 // 2**log, 0x3FFFFFFF) // r
    if p < 1 or 128 * 2**log * r > SCRYPT_MEMORY:
        raise Rejected("the minisign secret key asks for more memory than minisign's own keys do")
    return hashlib.scrypt(password.encode(), salt=salt, n=2**log, r=r, p=p, maxmem=SCRYPT_MEMORY + 2**20, dklen=length)


def _decoded(line: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != length:
        raise Rejected(f"a line of the minisign signature or key is not the base64 of {length} bytes: {line[:100]!r}")
    return raw
