"""If another key has signed an upgrade, or no key, the owner is warned when deciding."""

from __future__ import annotations

import subprocess
from pathlib import Path

from core.cli.new import write_app
from tests.node_process import PCLOUD, NodeProcess


def pack(folder: Path, version: str, *options: str | Path) -> Path:
    manifest = folder / "app.yaml"
    manifest.write_text(
        "".join(f"version: {version}\n" if line.startswith("version") else line for line in manifest.open())
    )
    target = folder.parent / f"{version}.tar.gz"
    subprocess.run([PCLOUD, "app", "pack", folder, "--to", target, *options], check=True, timeout=60)
    return target


def key(folder: Path, name: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", folder / name], check=True, timeout=60)
    return folder / name


def test_the_review_names_the_signer_and_says_when_it_is_another(node: NodeProcess, tmp_path: Path) -> None:
    write_app("ink-blots", tmp_path / "ink")
    ada, eve = key(tmp_path, "ada"), key(tmp_path, "eve")
    told = [
        " ".join(node.cli("app", "install", str(archive), "--yes", *more).stderr.split())
        for archive, *more in (
            (pack(tmp_path / "ink", "1.0.0", "--sign", ada),),
            (pack(tmp_path / "ink", "1.1.0", "--sign", ada),),
            (pack(tmp_path / "ink", "1.2.0", "--sign", eve), "--hand-over"),
            (pack(tmp_path / "ink", "1.3.0"), "--hand-over"),
        )
    ]
    assert all("signed with the ssh key SHA256:" in one for one in told[:3])
    assert [("ANOTHER KEY" in one, "IS NOT SIGNED" in one) for one in told] == [
        (False, False), (False, False), (True, False), (False, True),
    ]  # fmt: skip


def test_an_archive_that_was_changed_after_it_was_signed_is_refused(node: NodeProcess, tmp_path: Path) -> None:
    write_app("ink-blots", tmp_path / "ink")
    archive = pack(tmp_path / "ink", "1.0.0", "--sign", key(tmp_path, "ada"))
    content = bytearray(archive.read_bytes())
    content[4] ^= 1  # the gzip header's time: still a good archive, but another one
    archive.write_bytes(content)
    refused = node.cli("app", "install", str(archive), "--yes", check=False)
    assert refused.returncode == 2 and "signature is not valid" in " ".join(refused.stderr.split())
    assert node.json("app", "list", "--json") == []
