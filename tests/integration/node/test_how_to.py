"""The how-to pages, followed to the letter on a real node: each of their commands does what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.node.terminal import shown_in_a_terminal
from tests.node_process import ROOT, NodeProcess, wait_until
from tests.unit.docs.pages import commands_in

TOOLS = [Path(sys.executable).parent, ROOT / ".setup" / "bin"]


def console_blocks(name: str) -> list[str]:
    text = (ROOT / "docs" / "how-to" / name).read_text()
    return re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(name: str) -> list[list[str]]:
    return [words for block in console_blocks(name) for words in commands_in(block)]


def environment(cloud: NodeProcess, **more: str) -> dict[str, str]:
    path = ":".join(map(str, TOOLS)) + ":" + os.environ["PATH"]
    return {**os.environ, "PCLOUD_DATA_FOLDER": str(cloud.data), "PATH": path, **more}


def run(words: list[str], cloud: NodeProcess, **more: str) -> str:
    result = subprocess.run(words, env=environment(cloud, **more), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, f"{words} ended with {result.returncode}: {result.stderr}"
    return result.stdout


@pytest.fixture(autouse=True)
def nats_is_there() -> None:
    assert shutil.which("nats", path=":".join(map(str, TOOLS))), "run `just test`, whose set-up builds the nats CLI"


def test_inspecting_the_log_with_nats(cloud: NodeProcess) -> None:
    image = cloud.graphql("{ queryImageImporter_Image { id } }")["queryImageImporter_Image"][0]["id"]
    for words in commands("inspect-with-nats.md"):
        words = [word.replace(".ID", f".{image}") for word in words]
        if "sub" in words:
            subscribed(words, cloud)
        elif "events" in words:
            shown_in_a_terminal(words, until="istening", environment=environment(cloud))
        elif "view" in words:
            shown = shown_in_a_terminal(words, until='"v":1', environment=environment(cloud))
            assert "Pcloud-Actor: person:owner" in shown and '"v":1' in shown, shown
        else:
            said = run(words, cloud)
            assert "GRAPH" in said or "WORK" in said or image in said or "Pcloud-Kind" in said, (
                f"{words} showed {said!r}"
            )


def subscribed(words: list[str], cloud: NodeProcess) -> None:
    """`nats sub` shows the next event as soon as it is there."""
    listening = subprocess.Popen(
        [*words, "--count", "1"], env=environment(cloud), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert listening.stdout
    try:
        said = listening.stdout.readline()
        while "Subscribing" not in said:
            line = listening.stdout.readline()
            assert line, f"nats sub ended and said {said!r}"
            said += line
        # The CLI says so before the server has heard of it, so the first change may pass unseen.
        for number in range(20):
            changed = f'mutation {{ updateImageImporter_Image(input: {{filter: {{}}, set: {{lens: "{number} mm"}}}}) {{ count }} }}'
            cloud.graphql(changed)
            try:
                rest, _ = listening.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                continue
        assert "graph.image-importer.Image." in rest and "Pcloud-Kind: updated" in rest
    finally:
        listening.kill()
        listening.wait()


def test_finding_out_why_a_picture_is_missing(cloud: NodeProcess) -> None:
    def broken() -> list[dict[str, Any]]:
        failed = cloud.json("runs", "--state", "FAILED", "--json")
        return [run for run in failed if run["args"]["key"] == "broken.jpg"]

    (failed,) = broken()
    install = [words for words in commands("find-a-failed-run.md") if "face-detector" not in str(words)]
    shown = run(install[0], cloud)
    assert failed["id"][:12] in shown and "key=broken.jpg" in shown and failed["error"]["message"] in shown
    for words in install[1:]:
        run([word.replace("6f1c", failed["id"][:12]) for word in words], cloud)
        if "retry" in words and "--all" not in words:
            wait_until(lambda: broken() and broken()[0]["ended"] > failed["ended"], what="the run that fails again")
    assert broken() == []


def test_backing_a_folder_up_with_rclone(cloud: NodeProcess, tmp_path: Path, photos: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "back-up-with-rclone.md").read_text()
    s3 = cloud.device["s3"]  # type: ignore[attr-defined]
    block = re.search(r"```ini\n(.*?)```", page, re.DOTALL)
    assert block
    configuration = re.sub(r"endpoint = .*", f"endpoint = {s3['endpoint']}", block[1])
    configuration = re.sub(r"access_key_id = .*", f"access_key_id = {s3['access_key']}", configuration)
    configuration = re.sub(r"secret_access_key = .*", f"secret_access_key = {s3['secret_key']}", configuration)
    (tmp_path / "rclone.conf").write_text(configuration)
    pictures = tmp_path / "Pictures"
    pictures.mkdir()
    shutil.copy(photos / "rocket.jpg", pictures)
    *_, sync = commands("back-up-with-rclone.md")
    run([word.replace("~", str(tmp_path)) for word in sync], cloud, RCLONE_CONFIG=str(tmp_path / "rclone.conf"))
    listed = cloud.json("call", "role:object-storage/usage")
    assert "images" in str(listed)
    query = '{ queryImageImporter_Image(filter: {place: {eq: "images/laptop/rocket.jpg"}}) { id } }'
    wait_until(lambda: cloud.graphql(query)["queryImageImporter_Image"], what="the image of the backed-up picture")


def test_backing_the_cloud_up_and_bringing_it_back(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    node.json("device", "pair", "--name", "phone", "--metrics", "--json")
    disk = [words for words in commands("back-up.md") if any("/mnt/disk" in word for word in words)]
    backing, proving, restoring, scheduling = disk
    for words in (backing, proving, restoring):
        words = [word.replace("/mnt/disk", str(tmp_path)).replace("~", str(tmp_path)) for word in words]
        said = run(words, node)
        assert "✓" in said and ("2 events" in said), said
    assert scheduling[1:3] == ["backup", "schedule"]  # tests/integration/backup/test_scheduled.py
    with NodeProcess(tmp_path / "restored") as restored:
        assert [device["state"] for device in restored.json("device", "list", "--json")] == ["revoked"]
        assert restored.token == "", "a restored cloud keeps its owner's credential"
