"""Makes the data folder of a release, as small as one can be that has everything a person's has: apps with grants, pictures, runs
that are done and one that failed, a paired device.

    git worktree add ../first 85fe145 && (cd ../first && just setup)
    python -m tests.releases.make ../first tests/releases/1-first.tar.xz

The release's own program makes it, on pictures that are drawn here. What every start makes again is left out: unpacked archives,
environments, logs, sockets. `facts.json` beside the folder says what has to be found in it. Its keys are those of a cloud that
exists nowhere else.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from PIL import ExifTags, Image, ImageDraw

from tests.waiting import wait_until

__all__ = ["s3_client"]

APPS = ("object-store", "image-importer", "random-puppy")
PICTURES = 5
# Made again at each start.
LEFT_OUT = re.compile(r"data/(node\.lock|run(/.*)?|apps/\.[^/]+(/.*)?|apps/[^/]+/(code|log|cache|etc)(/.*)?)")
IMAGES = "{ queryImageImporter_Image { id sha256 } }"


def main() -> None:
    checkout, target = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="pcloud-release-") as folder:
        data = Path(folder) / "data"
        facts = fill(checkout, data)
        (Path(folder) / "facts.json").write_text(json.dumps(facts, indent=1))
        with tarfile.open(target, "w:xz", preset=9) as archive:
            for name in ("facts.json", "data"):
                archive.add(Path(folder) / name, name, filter=kept)
    print(f"{target}: {target.stat().st_size:,} bytes")


def fill(checkout: Path, data: Path) -> dict[str, Any]:
    """Run the release on the empty folder until it is made; return the facts."""
    pcloud = [str(checkout / ".venv" / "bin" / "pcloud")]

    def cli(*arguments: str) -> str:
        return subprocess.run(
            [*pcloud, *arguments, "--data", str(data)], check=True, capture_output=True, text=True, cwd=checkout
        ).stdout

    with running([*pcloud, "up", "--data", str(data), "--listen", "127.0.0.1:0"], checkout) as said:
        for app in APPS:
            cli("app", "install", str(checkout / "apps" / app), "--yes")
        device = json.loads(cli("device", "pair", "--name", "old phone", "--json"))
        pictures = {f"holiday/{number}.jpg": drawn(number) for number in range(PICTURES)}
        put(device["s3"], pictures | {"broken.jpg": b"\xff\xd8\xff\xe0 not a picture"})
        runs = {"DONE": PICTURES, "FAILED": 1}
        wait_until(lambda: settled(json.loads(cli("status", "--json"))["runs"], runs), what=f"{runs}")
        status = json.loads(cli("status", "--json"))
        return {
            "events": status["events"], "owner": re.findall(r"owner_\w+", said)[0], "device": device,
            "objects": {key: hashlib.sha256(content).hexdigest() for key, content in pictures.items()},
            "apps": sorted(APPS), "runs": runs,
        }  # fmt: skip


def settled(runs: dict[str, int], wanted: dict[str, int]) -> bool:
    return all(runs[state] >= count for state, count in wanted.items()) and not runs["NEW"] + runs["IN_PROGRESS"]


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[str]:
    """Run the node, stopped in good order at the end; what it says until it is up."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        said = ""
        assert process.stdout
        for line in process.stdout:
            said += line
            if "within ten minutes" in line:
                break
        try:
            yield said
        finally:
            process.send_signal(signal.SIGTERM)


def drawn(number: int) -> bytes:
    """A small photograph with a camera's fields, another one for each number."""
    image = Image.new("RGB", (96, 64), (40 * number, 90, 200 - 30 * number))
    ImageDraw.Draw(image).ellipse((8 * number, 10, 8 * number + 40, 50), fill=(250, 200, 20 * number))
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Example"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2024:07:0{number + 1} 10:00:00"
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def s3_client(s3: dict[str, str], endpoint: str = "") -> Any:
    """A client with a device's keys, which tries as long as a person's would."""
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 10, "mode": "standard"})
    return boto3.client(  # pyright: ignore[reportUnknownMemberType]
        "s3", endpoint_url=endpoint or s3["endpoint"], aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"], region_name="us-east-1", config=config,
    )  # fmt: skip


def put(s3: dict[str, str], objects: dict[str, bytes]) -> None:
    for key, content in objects.items():
        s3_client(s3).put_object(Bucket=s3["bucket"], Key=key, Body=content)


def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if LEFT_OUT.fullmatch(entry.name) or not (entry.isfile() or entry.isdir()):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
