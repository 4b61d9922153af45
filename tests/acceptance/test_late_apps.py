"""Apps installed after the data, and apps that ask for too much: what the owner sees on the terminal and in the graph."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from tests.acceptance.conftest import s3_client
from tests.acceptance.test_main_job import FACES
from tests.node_process import PCLOUD, ROOT, NodeProcess, wait_until

PEOPLE = ("astronaut.jpg", "astronaut.png", "admiral.jpg")
CURIOUS = """
name: curious
version: 1.0.0
uses:
  - write: image-importer/Image
    reason: Wants them all.
run: {command: [python, -c, "import time; time.sleep(1000)"]}
"""


def upload(node: NodeProcess, photos: Path, *names: str) -> None:
    s3 = node.json("device", "pair", "--name", names[0], "--json")["s3"]
    for name in names:
        s3_client(s3).upload_file(str(photos / name), s3["bucket"], name)


def faces(node: NodeProcess) -> dict[str, int | None]:
    rows = node.graphql(FACES)["queryImageImporter_Image"]
    return {row["place"].rpartition("/")[2]: row["faceDetector_faceCount"] for row in rows}


def test_face_detector_installed_late_finds_all_faces(node: NodeProcess, photos: Path) -> None:
    node.install("object-store", "image-importer")
    upload(node, photos, *PEOPLE)
    query = "{ queryImageImporter_Image { place } }"
    wait_until(lambda: len(node.graphql(query)["queryImageImporter_Image"]) == len(PEOPLE), what="every image")
    node.install("face-detector")
    wait_until(lambda: faces(node) == dict.fromkeys(PEOPLE, 1), what="every face")


def test_required_grant_refused_on_the_terminal_stops_the_installation(node: NodeProcess, tmp_path: Path) -> None:
    """The owner answers "no" to the one required grant of the app."""
    node.install("object-store", "image-importer")
    (tmp_path / "curious").mkdir()
    (tmp_path / "curious" / "app.yaml").write_text(CURIOUS)
    said, code = on_a_terminal(node, "n\n", "app", "install", str(tmp_path / "curious"))
    assert code != 0
    assert "see, add, change and delete all images that Image importer keeps" in said
    assert "Wants them all." in said
    assert "curious is not installed" in said
    assert "curious" not in {app["name"] for app in node.json("app", "list", "--json")}


def on_a_terminal(node: NodeProcess, typed: str, *arguments: str) -> tuple[str, int]:
    """Return the output of `pcloud` at a terminal where this is typed, and its exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(node.data), "COLUMNS": "200", "TERM": "dumb"}
    process = subprocess.Popen(
        [str(PCLOUD), *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=ROOT
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # how Linux reports that the other end is closed
        pass
    finally:
        os.close(ours)
    return " ".join(said.decode().split()), process.wait(60)
