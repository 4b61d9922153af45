"""Signatures of archives: which tools' signatures are accepted, and that a single changed byte is detected."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apps.archive.archive import read_archive
from core.apps.signing import minisign
from core.apps.signing.signature import NAMESPACE, Signer, attach_signature, signer_of, split_signature
from pcloud.errors import Rejected

MANIFEST = b"name: tiny\nversion: 1.0.0\n"
# From the test suite of https://github.com/jedisct1/rust-minisign-verify: the signed content is the word "test".
PUBLISHED_KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
PUBLISHED = {
    "legacy": (
        "RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=",
        "timestamp:1555779966\tfile:test",
        "QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==",
    ),
    "prehashed": (
        "RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=",
        "timestamp:1556193335\tfile:test",
        "y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==",
    ),
}


def tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("app.yaml")
        info.size = len(MANIFEST)
        tar.addfile(info, io.BytesIO(MANIFEST))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.yaml", MANIFEST)
    return buffer.getvalue()


ARCHIVES = {"tar.gz": tarball(), "zip": zipped()}


def run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def signed_by_ssh(tmp_path: Path, content: bytes, *options: str, namespace: str = NAMESPACE) -> tuple[str, str]:
    """Return the signature and the key's fingerprint, both from OpenSSH's own program."""
    key, file = tmp_path / "key", tmp_path / "content"
    if not key.exists():
        run("ssh-keygen", "-q", "-N", "", "-C", "somebody@somewhere", "-f", key, *options)
    file.write_bytes(content)
    file.with_suffix(".sig").unlink(missing_ok=True)
    run("ssh-keygen", "-Y", "sign", "-n", namespace, "-f", key, file)
    return file.with_suffix(".sig").read_text(), run("ssh-keygen", "-l", "-f", key).split()[1]


def minisign_keys(tmp_path: Path) -> Path:
    run("minisign", "-G", "-W", "-p", tmp_path / "minisign.pub", "-s", tmp_path / "minisign.key")
    return tmp_path / "minisign.key"


@pytest.mark.parametrize("form", sorted(PUBLISHED))
def test_minisigns_published_signatures_hold(form: str) -> None:
    signature, comment, overall = PUBLISHED[form]
    text = (
        f"untrusted comment: minisign public key\n{PUBLISHED_KEY}\nuntrusted comment: signature\n{signature}\n"
        f"trusted comment: {comment}\n{overall}\n"
    )
    assert minisign.verify(text, b"test") == (PUBLISHED_KEY, comment)
    for wrong in (text.replace("file:test", "file:tent"), text.replace(PUBLISHED_KEY, PUBLISHED_KEY[:-2] + "O4")):
        with pytest.raises(Rejected, match=r"is not valid|other key"):
            minisign.verify(wrong, b"test")
    with pytest.raises(Rejected, match="is not valid"):
        minisign.verify(text, b"Test")


@pytest.mark.parametrize("options", [(), ("-l",)], ids=["prehashed", "legacy"])
@pytest.mark.parametrize("kind", sorted(ARCHIVES))
def test_a_signature_of_the_real_minisign_travels_within_the_archive(
    tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    secret, file = minisign_keys(tmp_path), tmp_path / "archive"
    file.write_bytes(ARCHIVES[kind])
    run("minisign", "-S", *options, "-s", secret, "-t", "by hand", "-m", file)
    text = (tmp_path / "minisign.pub").read_text() + (tmp_path / "archive.minisig").read_text()
    archive = attach_signature(ARCHIVES[kind], text)
    assert signer_of(archive) == Signer("minisign", text.splitlines()[1], "by hand")
    assert read_archive(archive).content == read_archive(ARCHIVES[kind]).content


def test_real_minisign_verifies_our_signature(tmp_path: Path) -> None:
    secret = minisign.read_secret_key(minisign_keys(tmp_path).read_text(), lambda: "")
    assert secret.public == (tmp_path / "minisign.pub").read_text().splitlines()[1]
    content, text = split_signature(attach_signature(tarball(), minisign.sign(secret, tarball(), "tiny 1.0.0")))
    (tmp_path / "archive").write_bytes(content)
    (tmp_path / "archive.minisig").write_text("".join(text.splitlines(keepends=True)[2:]))
    said = run("minisign", "-V", "-P", secret.public, "-m", tmp_path / "archive")
    assert "tiny 1.0.0" in said


@pytest.mark.parametrize(
    "options", [("-t", "ed25519"), ("-t", "ecdsa", "-b", "384"), ("-t", "rsa", "-b", "2048")], ids=lambda o: o[1]
)
@pytest.mark.parametrize("kind", sorted(ARCHIVES))
def test_a_signature_of_the_real_ssh_keygen_travels_within_the_archive(
    tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    text, fingerprint = signed_by_ssh(tmp_path, ARCHIVES[kind], *options)
    archive = attach_signature(ARCHIVES[kind], text)
    assert signer_of(archive) == Signer("ssh", fingerprint)
    assert split_signature(archive) == (ARCHIVES[kind], text)
    assert read_archive(archive).content == read_archive(ARCHIVES[kind]).content


def test_real_ssh_keygen_verifies_a_signed_archive(tmp_path: Path) -> None:
    text, _ = signed_by_ssh(tmp_path, tarball(), "-t", "ed25519")
    content, found = split_signature(attach_signature(tarball(), text))
    (tmp_path / "found.sig").write_text(found)
    (tmp_path / "allowed").write_text("ada " + (tmp_path / "key.pub").read_text())
    words = ["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-I", "ada", "-f", tmp_path / "allowed"]
    said = subprocess.run([*words, "-s", tmp_path / "found.sig"], input=content, capture_output=True, check=True)
    assert b"Good" in said.stdout


def test_a_signature_for_another_purpose_does_not_hold(tmp_path: Path) -> None:
    text, _ = signed_by_ssh(tmp_path, tarball(), "-t", "ed25519", namespace="file")
    with pytest.raises(Rejected, match=f"-n {NAMESPACE}"):
        attach_signature(tarball(), text)


def test_a_weak_key_is_not_taken(tmp_path: Path) -> None:
    text, _ = signed_by_ssh(tmp_path, tarball(), "-t", "rsa", "-b", "1024")
    with pytest.raises(Rejected, match="2048"):
        attach_signature(tarball(), text)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("signed")
    found = {}
    for kind, content in ARCHIVES.items():
        found[f"ssh {kind}"] = attach_signature(content, signed_by_ssh(folder, content, "-t", "ed25519")[0])
    secret = minisign.read_secret_key(minisign_keys(folder).read_text(), lambda: "")
    for kind, content in ARCHIVES.items():
        found[f"minisign {kind}"] = attach_signature(content, minisign.sign(secret, content, "x"))
    return found


@pytest.mark.parametrize("which", ["ssh tar.gz", "ssh zip", "minisign tar.gz", "minisign zip"])
def test_no_byte_of_the_content_can_be_changed_under_a_signature(signed: dict[str, bytes], which: str) -> None:
    archive = signed[which]
    signer, content = signer_of(archive), split_signature(archive)[0]
    assert signer

    @given(place=st.integers(0, len(content) - 1), mask=st.integers(1, 255))
    def changed(place: int, mask: int) -> None:
        other = bytearray(archive)
        other[place] ^= mask
        try:
            found = signer_of(bytes(other))
        except Rejected:
            return
        # Only changes that destroy the archive or remove its signature get here; they never change the signer.
        assert found is None

    changed()


@given(rest=st.binary(min_size=1, max_size=40))
def test_nothing_can_be_added_behind_a_signature(signed: dict[str, bytes], rest: bytes) -> None:
    for archive in signed.values():
        try:
            assert signer_of(archive + rest) is None
        except Rejected:
            continue


def test_an_archive_without_a_signature_has_no_signer() -> None:
    assert [signer_of(archive) for archive in ARCHIVES.values()] == [None, None]
    assert signer_of(b"") is None


def test_signing_again_replaces_the_signature(tmp_path: Path, signed: dict[str, bytes]) -> None:
    secret = minisign.read_secret_key(minisign_keys(tmp_path).read_text(), lambda: "")
    content = ARCHIVES["tar.gz"]
    again = attach_signature(signed["ssh tar.gz"], minisign.sign(secret, content, "new"))
    assert signer_of(again) == Signer("minisign", secret.public, "new")
    assert split_signature(again)[0] == content


def test_a_signature_upon_a_signature_is_refused(tmp_path: Path, signed: dict[str, bytes]) -> None:
    secret = minisign.read_secret_key(minisign_keys(tmp_path).read_text(), lambda: "")
    twice = signed["ssh tar.gz"]
    outer = attach_signature(twice, minisign.sign(secret, ARCHIVES["tar.gz"], "outer"))
    member = outer[len(ARCHIVES["tar.gz"]) :]
    with pytest.raises(Rejected, match="twice"):
        signer_of(twice + member)


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: text.replace("\n", "\r\n"), str.lower])
def test_a_signature_that_cannot_be_read_says_so(signed: dict[str, bytes], damage: Callable[[str], str]) -> None:
    for archive in signed.values():
        content, text = split_signature(archive)
        with pytest.raises(Rejected):
            attach_signature(content, damage(text))


def test_the_digest_of_an_archive_covers_its_signature(signed: dict[str, bytes]) -> None:
    digests = {hashlib.sha256(archive).hexdigest() for archive in (signed["ssh tar.gz"], ARCHIVES["tar.gz"])}
    assert len(digests) == 2 and read_archive(signed["ssh tar.gz"]).sha256 in digests
