"""What a person with the disk can read: a thief, or the finder of an old one. PCloud encrypts none of it; that is the machine's task."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from core.apps import packed
from tests.node_process import NodeProcess

NOTE = "the cellar key lies under the third flower pot"
PICTURE = b"\xff\xd8\xff\xe0 a picture for the owner alone"
ADD = "mutation($text: String!) { addDiary_Note(input: [{text: $text}]) { count } }"


class Disk:
    """The data folder of a node that was switched off, and what was stored and given out while it ran."""

    def __init__(self, folder: Path, secrets: dict[str, str]):
        self.folder = folder
        self.secrets = secrets

    def holds(self, what: bytes) -> list[str]:
        """The files that have these bytes, and the top folder of each."""
        files = [file for file in self.folder.rglob("*") if file.is_file() and not file.is_symlink()]
        return sorted({str(file.relative_to(self.folder)) for file in files if what in file.read_bytes()})


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    folder = tmp_path_factory.mktemp("stolen")
    diary = folder / "diary"
    diary.mkdir()
    (diary / "app.yaml").write_text("name: diary\nversion: 1.0.0\nschema: s.graphql\n")
    (diary / "s.graphql").write_text("type Note { text: String! }")
    with NodeProcess(folder / "node") as node:
        node.install("object-store", "image-importer")
        node.install_archive(packed(diary).data)
        node.graphql(ADD, {"text": NOTE})
        device = node.json("device", "pair", "--name", "phone", "--json")
        s3 = device["s3"]
        client = boto3.client(
            "s3", endpoint_url=s3["endpoint"], aws_access_key_id=s3["access_key"], aws_secret_access_key=s3["secret_key"],
            region_name="us-east-1", config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip
        client.put_object(Bucket=s3["bucket"], Key="secret.jpg", Body=PICTURE)
        secrets = {"owner": node.token, "device": device["token"], "s3": s3["secret_key"]}
    yield Disk(folder / "node", secrets)


def test_attack_a_thief_reads_what_is_stored(disk: Disk) -> None:
    """Not held: the graph and the objects are on the disk as they are."""
    assert disk.holds(NOTE.encode()) and disk.holds(PICTURE)


def test_attack_a_thief_reads_the_nodes_own_keys(disk: Disk) -> None:
    """Not held: those that sign sessions, open the log and the objects. A person who has them needs no credential."""
    keys = [file for file in (disk.folder / "secrets").iterdir() if file.is_file()]
    assert keys and disk.holds(disk.secrets["s3"].encode())


def test_attack_a_thief_reads_neither_the_owners_credential_nor_a_devices_token(disk: Disk) -> None:
    for who in ("owner", "device"):
        assert disk.holds(disk.secrets[who].encode()) == []


def test_attack_other_users_of_the_machine_read_nothing_of_the_folder(disk: Disk) -> None:
    assert stat.S_IMODE(disk.folder.stat().st_mode) == 0o700
    for file in (disk.folder / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
