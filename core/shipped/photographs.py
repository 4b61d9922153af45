"""The sample photographs of the demo and the tests, made on first use.

The pictures come out of two pinned packages (scikit-image, matplotlib) and are in the public domain: NASA's portrait of
Eileen Collins and rocket, the US Navy's of Grace Hopper; and CC0: Chelsea the cat, the cup of coffee. They carry no
camera data, so `phone` writes that into copies of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from core.shipped.fetched import PART, FetchedFiles, FetchProgress, quiet, remove_parts
from core.shipped.package import Package, PackageFile
from pcloud.errors import Unavailable

__all__ = ["PACKAGES", "PHOTOS", "MakePython", "Photo", "sample_photographs"]


@dataclass(frozen=True, slots=True)
class Photo:
    """`name`: the file made. `source`: the picture it is made of. `taken`: local time as in EXIF. `camera`: make and
    model. `place`: latitude and longitude in degrees. `turned`: stored lying, as by a phone held upright."""

    name: str
    source: str
    title: str
    taken: str
    zone: str
    camera: tuple[str, str]
    place: tuple[float, float]
    turned: bool = False


PHONE, CAMERA = ("Example", "Phone 3"), ("Example", "Camera X100")
PHOTOS = (
    Photo("astronaut.jpg", "astronaut.png", "Eileen Collins, astronaut", "2024:07:23 10:15:00", "-05:00", PHONE,
          (29.5593, -95.0900)),
    Photo("admiral.jpg", "grace_hopper.jpg", "Grace Hopper, rear admiral", "2024:07:04 15:42:10", "-04:00", CAMERA,
          (38.8719, -77.0563)),
    Photo("astronaut-upright.jpg", "astronaut.png", "Astronaut, phone held upright", "2023:11:18 09:05:30", "-06:00",
          PHONE, (29.5593, -95.0900), turned=True),
    Photo("cat.jpg", "chelsea.png", "Chelsea the cat", "2024:02:11 08:30:00", "+01:00", PHONE, (52.3731, 4.8922)),
    Photo("coffee.jpg", "coffee.png", "A cup of coffee", "2023:11:02 16:20:45", "+00:00", CAMERA, (38.7117, -9.1365)),
    Photo("rocket.jpg", "rocket.jpg", "Rocket on its way", "2022:06:18 22:10:05", "-04:00", CAMERA,
          (28.5721, -80.6480)),
)  # fmt: skip
PLAIN = "astronaut.png"  # one picture as it came, without camera data
PACKAGES = (
    Package(
        "scikit-image", "0.25.2", "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641", 34_000_000,
        "x86_64-manylinux_2_28", "3.11",
        (
            PackageFile("skimage/data/astronaut.png", "astronaut.png",
                        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
            PackageFile("skimage/data/chelsea.png", "chelsea.png",
                        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
            PackageFile("skimage/data/coffee.png", "coffee.png",
                        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
            PackageFile("skimage/data/rocket.jpg", "rocket.jpg",
                        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
        ),
    ),
    Package(
        "matplotlib", "3.11.2", "07d9b9fa60cd4c393692f50d0bb03123242ddf61c99bb0e95e75feb354e7c1a8", 26_000_000,
        "x86_64-manylinux_2_28", "3.11",
        (
            PackageFile("matplotlib/mpl-data/sample_data/grace_hopper.jpg", "grace_hopper.jpg",
                        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"),
        ),
    ),
)  # fmt: skip
# Makes, below a folder, an environment with Pillow; returns its Python.
MakePython = Callable[[Path], Path]
MAKER = Path(__file__).with_name("phone.py")
STAMP = ".made-by"
SECONDS = 120


def sample_photographs(files: FetchedFiles, python: MakePython, progress: FetchProgress = quiet) -> Path:
    """The folder with the photographs, made where it is missing or of another version.

    Raises `Unavailable` or `Corrupt` with what is missing and what to do.
    """
    target = files.folder / "photos"
    wanted = hashlib.sha256(MAKER.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if _made_by(target) == wanted:
        return target
    pictures = files.provide(PACKAGES, progress)
    try:
        with FileLock(files.folder / "files" / ".photos.lock", timeout=2 * SECONDS):
            remove_parts(files.folder)
            if _made_by(target) != wanted:
                _make(pictures, python, target, wanted)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"the sample photographs can't be made in {target}: {error}; name another folder with "
            "--files or PCLOUD_FILES"
        ) from error
    return target


def _made_by(target: Path) -> str:
    try:
        return (target / STAMP).read_text()
    except OSError:
        return ""


def _make(pictures: dict[str, bytes], make_python: MakePython, target: Path, stamp: str) -> None:
    """All of them beside their place, which the whole folder then takes."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=PART, ignore_cleanup_errors=True) as name:
        part = Path(name)
        made, sources = part / "photos", part / "sources"
        made.mkdir()
        sources.mkdir()
        for source, content in pictures.items():
            (sources / source).write_bytes(content)
        orders = json.dumps([asdict(photo) for photo in PHOTOS])
        command = [str(make_python(part / "environments")), str(MAKER), str(sources), str(made)]
        done = subprocess.run(command, input=orders, text=True, stderr=subprocess.PIPE, timeout=SECONDS)
        if done.returncode:
            raise Unavailable(f"the sample photographs can't be made: {done.stderr[-500:].strip()}")
        shutil.copyfile(sources / PLAIN, made / PLAIN)
        (made / STAMP).write_text(stamp)
        os.sync()  # all of it must be on the disk before the name says so
        if target.exists():
            target.rename(part / "before")
        made.rename(target)
