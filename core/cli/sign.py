"""`pcloud app sign` and `pcloud app pack --sign`: puts a developer's signature into an archive.

If possible, keys stay with the programs that keep them: an ssh key signs by `ssh-keygen`, which asks for its
passphrase, or the agent. A minisign key file is read here.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core.cli.terminal import AsJson, facts, plain, print_json
from pcloud.errors import Rejected

__all__ = ["SignOption", "sign", "signed"]

SignOption = Annotated[
    Path | None,
    typer.Option(
        "--sign", metavar="KEY",
        help="Sign the archive with this minisign or ssh key (a .pub file signs through the ssh agent).",
    ),
]  # fmt: skip
SSH_SIGNATURE = "-----BEGIN SSH SIGNATURE-----"
SSH_PRIVATE = (
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
)
SSH_PUBLIC = ("ssh-", "ecdsa-")


def sign(
    archive: Annotated[Path, typer.Argument(help="The archive; it is changed in place.")],
    key: Annotated[
        Path,
        typer.Argument(help="A minisign or ssh key, or a signature made by one."),
    ],
    public: Annotated[
        Path | None,
        typer.Option("--public-key", help="The minisign key that made the signature."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign an archive, or add a signature that minisign or ssh-keygen has made of it."""
    from core.apps.signing.signature import signer_of

    try:
        data = signed(archive.read_bytes(), key, public)
        part = archive.with_name(f"{archive.name}.part")
        part.write_bytes(data)
        part.replace(archive)
    except OSError as error:
        raise Rejected(f"{archive} can't be signed: {error.strerror or error}") from error
    signer = signer_of(data)
    assert signer
    if as_json:
        print_json({"archive": str(archive), "signer": asdict(signer)})
    else:
        facts.print(f"{plain(archive)}  signed with the {signer.kind} key {plain(signer.key)}")


def signed(archive: bytes, key: Path, public: Path | None = None) -> bytes:
    """Return the archive with a signature made with the key in the file, or with the signature that the file holds."""
    from core.apps.signing import minisign
    from core.apps.signing.signature import attach_signature, split_signature

    content, _ = split_signature(archive)
    text = _text_of(key)
    if text.startswith((*SSH_PRIVATE, *SSH_PUBLIC)):
        return attach_signature(content, _signed_by_ssh(content, key))
    if text.startswith(SSH_SIGNATURE):
        return attach_signature(content, text)
    if minisign.is_secret_key(text):
        secret = minisign.read_secret_key(text, lambda: typer.prompt("Password of the key", hide_input=True, err=True))
        return attach_signature(content, minisign.sign(secret, content, _comment(content)))
    if text.startswith(minisign.BEGIN):
        if public is None:
            raise Rejected(
                f"{key} is a signature of minisign: name the key that made it with --public-key minisign.pub"
            )
        return attach_signature(content, _text_of(public) + text)
    raise Rejected(
        f"{key} holds neither a key nor a signature: make a key with `minisign -G` or `ssh-keygen -t ed25519`"
    )


def _comment(content: bytes) -> str:
    """Return what minisign signs beside the content: the app and its version."""
    from core.apps import read_archive

    manifest = read_archive(content).manifest
    return f"{manifest.name} {manifest.version}"


def _text_of(file: Path) -> str:
    """Return the text with one line end at its end, as the tools write it."""
    try:
        return file.read_text("ascii").strip() + "\n"
    except OSError as error:
        raise Rejected(f"{file} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise Rejected(f"{file} is not a text: name the file of a key, or of a signature") from error


def _signed_by_ssh(content: bytes, key: Path) -> str:
    from core.apps.signing.signature import NAMESPACE

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "archive"
        file.write_bytes(content)
        try:
            subprocess.run(
                ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)],  # noqa: S607 - from PATH
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise Rejected("ssh-keygen was not found: install OpenSSH's client, or sign with minisign") from error
        except subprocess.CalledProcessError as error:
            raise Rejected(f"ssh-keygen did not sign with {key}: its reason is printed above") from error
        return file.with_suffix(".sig").read_text("ascii")
