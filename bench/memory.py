"""Memory of the idle node with all its processes: the sum of proportional set sizes, so that shared pages count
once."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure
from core.apps import packed
from tests.node_process import BUNDLED, NodeProcess, wait_until

__all__ = ["measure_empty", "measure_full", "resident"]

ROOT = Path(__file__).parent.parent
PHOTOS, SEGMENTS, A_TIME = 100_000, 250_000, 500
# After this long without a request, apps have freed what they need only while they work.
IDLE_SECONDS = 75


def resident(node: NodeProcess) -> dict[str, float]:
    """Megabytes (2**20 bytes) of each process of the node, by its role."""
    assert node.process
    parent = psutil.Process(node.process.pid)
    found: dict[str, float] = {}
    for process in [parent, *parent.children(recursive=True)]:
        try:
            name = " ".join(process.cmdline()[:4])[-60:]
            found[f"{process.pid} {name}"] = process.memory_full_info().pss / 2**20
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def measure_empty(node: NodeProcess) -> Figure:
    time.sleep(IDLE_SECONDS)
    return Figure("idle node with five apps, empty", "MB", (sum(resident(node).values()),), bound=700)


def measure_full(folder: Path) -> Figure:
    """A node of its own with 100,000 images and 250,000 segments.

    The images exist before the detector and the gallery, which are packed here to react only to new ones: these images
    have no picture files.
    """
    with NodeProcess(folder / "full") as node:
        node.install("object-store", "image-importer")
        add_images(node)
        for name in BUNDLED[2:]:
            node.install_archive(only_new(name), unconfined=True)
        add_segments(node)
        wait_until(
            lambda: all(view["lag"] == 0 for view in node.status()["views"].values()), seconds=300, what="all views"
        )
        time.sleep(IDLE_SECONDS)
        total = sum(resident(node).values())
        return Figure(f"idle node with five apps, {PHOTOS:,} photos and {SEGMENTS:,} faces", "MB", (total,), bound=950)


def only_new(name: str) -> bytes:
    """The bundled app with `replay: new` instead of `replay: all`."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        shutil.copytree(ROOT / "apps" / name, copy, ignore=shutil.ignore_patterns("node_modules", "tests"))
        manifest = copy / "app.yaml"
        manifest.write_text(manifest.read_text().replace("replay: all", "replay: new"))
        return packed(copy).data


def add_images(node: NodeProcess) -> None:
    query = "mutation($input: [AddImageImporter_ImageInput!]!) { addImageImporter_Image(input: $input) { count } }"
    randomness = random.Random(3)
    for start in range(0, PHOTOS, A_TIME):
        node.graphql(query, {"input": [image(number, randomness) for number in range(start, start + A_TIME)]})


def image(number: int, randomness: random.Random) -> dict[str, Any]:
    month = number % 180
    return {
        "place": f"images/{number}.jpg", "sha256": f"{number:064x}", "mime": "image/jpeg", "size": randomness.randint(10**6, 8 * 10**6),
        "width": 4032, "height": 3024, "camera": f"Example {number % 12}", "title": f"Picture {number} of {randomness.choice(WORDS)}",
        "takenAt": f"{2010 + month // 12}-{1 + month % 12:02}-{1 + number % 28:02}T12:00:00Z",
        "latitude": randomness.uniform(-60, 60), "longitude": randomness.uniform(-180, 180), "iso": 100,
    }  # fmt: skip


WORDS = ("the sea", "a mountain", "grandmother", "the garden", "a birthday", "the dog", "winter", "a long walk")


def add_segments(node: NodeProcess) -> None:
    query = "mutation($input: [AddFaceDetector_ImageSegmentInput!]!) { addFaceDetector_ImageSegment(input: $input) { count } }"
    page = "query($after: String) { queryImageImporter_Image(first: 500, after: $after) { id _cursor } }"
    after, made = None, 0
    while made < SEGMENTS:
        rows = node.graphql(page, {"after": after})["queryImageImporter_Image"]
        after = rows[-1]["_cursor"] if len(rows) == A_TIME else None
        images = [row["id"] for row in rows for _ in range(3)][: SEGMENTS - made]
        segments = [segment(image, made + number) for number, image in enumerate(images)]
        for start in range(0, len(segments), A_TIME):
            node.graphql(query, {"input": segments[start : start + A_TIME]})
        made += len(segments)


def segment(image: str, number: int) -> dict[str, Any]:
    return {
        "image": {"id": image}, "x": 0.1, "y": 0.2, "width": 0.1, "height": 0.15, "confidence": 0.9, "landmarks": [0.12, 0.23],
        "key": f"bench-{number}", "detector": "bench", "detectorVersion": "1",
    }  # fmt: skip
