"""The XMP sidecar (ISO 16684-1) of a photograph: title, date and position, and people as IPTC's persons and as the MWG's regions.

digiKam, darktable, Lightroom and exiftool read it. Same facts, same bytes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as Xml

from core.export.photograph import Person, Photograph

__all__ = ["sidecar"]

SPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
}
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def sidecar(photograph: Photograph, people: Sequence[Person]) -> bytes:
    """Return the file's bytes."""
    for prefix, space in SPACES.items():
        Xml.register_namespace(prefix, space)
    root = Xml.Element(_name("x:xmpmeta"))
    about = _under(_under(root, "rdf:RDF"), "rdf:Description")
    about.set(_name("rdf:about"), "")
    if photograph.taken:
        _under(about, "exif:DateTimeOriginal", photograph.taken)
        _under(about, "photoshop:DateCreated", photograph.taken)
    if photograph.latitude is not None and photograph.longitude is not None:
        _under(about, "exif:GPSLatitude", _degrees(photograph.latitude, "N", "S"))
        _under(about, "exif:GPSLongitude", _degrees(photograph.longitude, "E", "W"))
    if photograph.title:
        title = _under(_under(_under(about, "dc:title"), "rdf:Alt"), "rdf:li", photograph.title)
        title.set(LANGUAGE, "x-default")
    if names := list(dict.fromkeys(person.name for person in people if person.name)):
        _bag(about, "dc:subject", names)
        _bag(about, "Iptc4xmpExt:PersonInImage", names)
    if people:
        _regions(about, photograph, people)
    Xml.indent(root, " ")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="utf-8") + b"\n"


def _regions(about: Xml.Element, photograph: Photograph, people: Iterable[Person]) -> None:
    regions = _struct(_under(about, "mwg-rs:Regions"))
    if photograph.width and photograph.height:
        size = _struct(_under(regions, "mwg-rs:AppliedToDimensions"))
        for name, value in (("w", photograph.width), ("h", photograph.height), ("unit", "pixel")):
            _under(size, f"stDim:{name}", str(value))
    found = _under(_under(regions, "mwg-rs:RegionList"), "rdf:Bag")
    for person in people:
        region = _struct(_under(found, "rdf:li"))
        if person.name:
            _under(region, "mwg-rs:Name", person.name)
        _under(region, "mwg-rs:Type", "Face")
        area = _struct(_under(region, "mwg-rs:Area"))
        centre = (person.x + person.width / 2, person.y + person.height / 2)
        for name, value in zip("xywh", (*centre, person.width, person.height), strict=True):
            _under(area, f"stArea:{name}", f"{value:.6f}")
        _under(area, "stArea:unit", "normalized")


def _bag(parent: Xml.Element, name: str, texts: Iterable[str]) -> None:
    bag = _under(_under(parent, name), "rdf:Bag")
    for text in texts:
        _under(bag, "rdf:li", text)


def _struct(element: Xml.Element) -> Xml.Element:
    element.set(_name("rdf:parseType"), "Resource")
    return element


def _under(parent: Xml.Element, name: str, text: str | None = None) -> Xml.Element:
    element = Xml.SubElement(parent, _name(name))
    element.text = None if text is None else "".join(letter if _is_xml(letter) else "\ufffd" for letter in text)
    return element


def _name(text: str) -> str:
    prefix, _, name = text.partition(":")
    return f"{{{SPACES[prefix]}}}{name}"


def _is_xml(letter: str) -> bool:
    """XML 1.0 has no way to write other characters."""
    return (
        letter in "\t\n\r" or "\x20" <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter >= "\U00010000"
    )


def _degrees(value: float, positive: str, negative: str) -> str:
    """`48,12.345000N`, as XMP writes Exif's positions."""
    whole = abs(value)
    minutes = round((whole - int(whole)) * 60, 6)
    degrees, minutes = (int(whole) + 1, 0.0) if minutes >= 60 else (int(whole), minutes)
    return f"{degrees},{minutes:.6f}{negative if value < 0 else positive}"
