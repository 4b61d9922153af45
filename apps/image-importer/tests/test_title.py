"""Which of a picture's texts becomes its title, and what an XMP packet contains."""

from __future__ import annotations

import pytest
from image_importer.title import title
from image_importer.xmp import Packet, read_packet


def titled(key: str = "IMG_1.jpg", **given: object) -> str | None:
    return title(**{"xmp": None, "iptc": None, "xp_title": None, "description": None, "key": key, **given})  # type: ignore[arg-type]


def test_what_a_person_wrote_comes_before_the_file_name() -> None:
    assert titled(xmp="A walk", iptc=b"No", description="No") == "A walk"
    assert titled(iptc=b"Caf\xc3\xa9\x00", description="No") == "Café"
    assert titled(xp_title="Hafen".encode("utf-16-le") + b"\0\0") == "Hafen"
    assert titled(description="The harbour at dawn") == "The harbour at dawn"


@pytest.mark.parametrize(
    "default",
    ["OLYMPUS DIGITAL CAMERA         ", "SONY DSC", "DCIM\\100MEDIA", "Untitled", "", "KONICA MINOLTA DIGITAL CAMERA",
     "Exif_JPEG_PICTURE", "MINOLTA DIGITAL CAMERA", "SAMSUNG", "default"],
)  # fmt: skip
def test_a_camera_s_text_is_not_a_title(default: str) -> None:
    assert titled("some/garden_party-2.JPG", description=default) == "garden party 2"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("2024/IMG_2041.HEIC", "IMG_2041"),
        ("DSC00017.JPG", "DSC00017"),
        ("PXL_20240501_101500123.MP.jpg", "PXL_20240501_101500123.MP"),
        ("astronaut.png", "astronaut"),
        ("grace_hopper.jpg", "grace hopper"),
        ("a/b/Mum-and-Dad.tiff", "Mum and Dad"),
        ("ünïcode+name.webp", "ünïcode name"),
        ("___.png", "___"),
    ],
)
def test_a_file_name_is_the_last_resort(key: str, name: str) -> None:
    assert titled(key) == name


PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 exif:DateTimeOriginal="2020-02-03T04:05:06+01:00"><dc:title><rdf:Alt><rdf:li xml:lang="de">Nein</rdf:li>
<rdf:li xml:lang="x-default">Yes</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_a_packet_gives_title_and_date() -> None:
    assert read_packet(PACKET.encode() + b"\n\x00\x00") == Packet("Yes", "2020-02-03T04:05:06+01:00")
    assert read_packet('<?xpacket begin="\ufeff"?>' + PACKET + '<?xpacket end="w"?>') == read_packet(PACKET)


@pytest.mark.parametrize(
    "raw",
    [None, b"", b"<x", b"\xff\xfe\x00", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>" + b" " * 2**20 + b"</a>"],
)
def test_an_invalid_packet_is_ignored(raw: bytes | None) -> None:
    assert read_packet(raw) == Packet()
