"""The support bundle of a real node, in every corner of which something private is planted."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration.node.conftest import s3_client
from tests.integration.node.diary import WRITE, diary
from tests.node_process import NodeProcess, wait_until

NAME = "Zebedee"  # stands in every planted text
GPS = (48.85837, 2.294481)
TEXT = "Zebedee lives at 12 Rue Zebedee, zebedee@example.org, 203.0.113.77, 48.85837 2.294481, token owner_zebedee"
PLANTED = re.compile(r"zebedee|203\.0\.113|48\.85|2\.2944|wedding|rue |@example", re.IGNORECASE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[NodeProcess]:
    """A node on a folder with a name, under a domain with a name, with pictures, notes, devices and failures of Zebedee."""
    folder = tmp_path_factory.mktemp("Zebedee")
    with NodeProcess(folder / "cloud-of-Zebedee", "--domain", "zebedee.localhost", "--verbose") as node:
        node.install("object-store", "image-importer")
        s3 = node.json("device", "pair", "--name", "Zebedee’s phone", "--json")["s3"]
        client = s3_client(s3)
        client.put_object(Bucket=s3["bucket"], Key="Zebedee/Wedding in Paris.jpg", Body=picture(photos / "cat.jpg"))
        client.put_object(
            Bucket=s3["bucket"], Key="Zebedee/broken.jpg", Body=b"\xff\xd8\xff\xe0 not a picture of Zebedee"
        )
        wait_until(lambda: node.status()["runs"]["FAILED"] >= 1, what="the broken picture")
        node.install_archive(diary(folder / "diary", title="Diary of Zebedee", output=TEXT))
        node.graphql(WRITE, {"text": TEXT})
        wait_until(lambda: node.status()["runs"]["FAILED"] >= 2, what="the diary's failed run")
        node.cli("call", f"diary/{NAME}", "key=AKIAZEBEDEE", check=False)
        node.s3 = s3  # type: ignore[attr-defined]
        yield node


def picture(path: Path) -> bytes:
    image, told, target = Image.open(path), Image.Exif(), io.BytesIO()
    told[0x010E] = "Wedding of Zebedee"
    told.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.132), 3: "E", 4: (2.0, 17.0, 40.1316)})
    image.save(target, "JPEG", exif=told)
    return target.getvalue()


def bundle(node: NodeProcess, path: Path) -> dict[str, str]:
    """The texts of a new bundle, by their names."""
    told = node.json("support-bundle", str(path), "--json")
    assert told["bytes"] == path.stat().st_size < 2 * 2**20 and path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        return {member.name.partition("/")[2]: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]


def private(node: NodeProcess) -> list[str]:
    """All secrets and addresses of this node; short ones are words of any text."""
    server = json.loads((node.data / "nats" / "server.json").read_text())
    passwords = [text for one in server.values() if isinstance(one, dict) for text in one.values()]
    keys = [path.read_bytes() for path in (node.data / "apps").glob("*/keys/*")]
    found = [
        node.token, *node.s3.values(), node.status()["epoch"], node.address, os.uname().nodename,  # type: ignore[attr-defined]
        *passwords, *(key.decode() for key in keys if key.isascii()),
    ]  # fmt: skip
    return [text for text in found if isinstance(text, str) and len(text) > 7]


def test_attack_nothing_private_is_in_a_bundle(home: NodeProcess, tmp_path: Path) -> None:
    texts = bundle(home, tmp_path / "b.tar.gz")
    assert set(json.loads(texts["contents.json"]).values()) == {"here"}, texts["contents.json"]
    whole = "\n".join(f"{name}\n{text}" for name, text in texts.items())
    assert PLANTED.findall(whole) == []
    assert [secret for secret in private(home) if secret in whole] == []
    assert PLANTED.search(home.log.read_text()), "it was planted in the log, too"


def test_bundle_says_what_a_bug_report_needs(home: NodeProcess, tmp_path: Path) -> None:
    texts = bundle(home, tmp_path / "b.tar.gz")
    apps = {app["name"]: app for app in json.loads(texts["apps.json"])}
    assert apps["diary"]["state"] == "RUNNING" and apps["diary"]["process"] == "running"
    assert json.loads(texts["status.json"])["runs"]["FAILED"] >= 2
    assert json.loads(texts["versions.json"])["packages"]["pcloud-node"]
    assert any(one["kind"] == "runs-failed" for one in json.loads(texts["notices.json"]))
    lines = [json.loads(line) for line in texts["node.jsonl"].splitlines()]
    started = next(line["started"] for line in lines if "started" in line)
    assert started["own_domain"] is True and started["graph"] == "sqlite"
    assert any(line.get("message", "").startswith("run … of …/… failed: ") for line in lines)
    assert 'pcloud_runs{app="diary",state="FAILED"} 1.0' in texts["metrics.txt"]


def test_bundle_of_a_killed_node_has_its_last_words(home: NodeProcess, tmp_path: Path) -> None:
    home.kill()
    try:
        texts = bundle(home, tmp_path / "b.tar.gz")
        contents: dict[str, Any] = json.loads(texts["contents.json"])
        assert contents["status.json"] == {"missing": "UNAVAILABLE"} and contents["node.jsonl"] == "here"
        assert '"started"' in texts["node.jsonl"] and not PLANTED.search("\n".join(texts.values()))
    finally:
        home.start()
