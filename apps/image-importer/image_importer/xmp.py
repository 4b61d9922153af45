"""Reads a title and a date from an XMP packet. Only plain XML of a reasonable size is accepted."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

__all__ = ["Packet", "read_packet"]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_DATES = (  # not xmp:CreateDate: that is when an editor made its document
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
)
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Packet:
    title: str | None = None
    date: str | None = None


def read_packet(raw: bytes | str | None) -> Packet:
    """The packet's facts; an empty Packet if it is missing, broken, larger than 1 MiB, or declares entities."""
    data = raw.encode() if isinstance(raw, str) else raw or b""
    if not data or len(data) > _MOST_BYTES or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return Packet()
    try:
        root = ElementTree.fromstring(data.strip(b"\x00 \r\n\t"))  # noqa: S314 - no entities, bounded, in a bounded process
    except (ElementTree.ParseError, ValueError):
        return Packet()
    return Packet(title=_title(root), date=_date(root))


def _title(root: ElementTree.Element) -> str | None:
    """dc:title in its default language, else in the first one given."""
    items = [item for title in root.iter(_TITLE) for item in title.iter(f"{_RDF}li") if (item.text or "").strip()]
    best = next((item for item in items if item.get(_LANGUAGE) == "x-default"), items[0] if items else None)
    return best.text.strip() if best is not None and best.text else None


def _date(root: ElementTree.Element) -> str | None:
    """A date is an attribute of rdf:Description or an element of its own."""
    descriptions = list(root.iter(f"{_RDF}Description"))
    for name in _DATES:
        for description in descriptions:
            value = description.get(name) or description.findtext(name)
            if value and value.strip():
                return value.strip()
    return None
