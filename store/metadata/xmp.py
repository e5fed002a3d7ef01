"""XMP packets: the texts of their properties, read without entities, schemas or addresses."""

from __future__ import annotations

import contextlib
from xml.parsers import expat

PROPERTIES_LIMIT = 500
DEPTH_LIMIT = 64

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML = "http://www.w3.org/XML/1998/namespace"
_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
}
"""The usual prefix of a namespace; in a file it may have any."""


class _StoppedError(Exception):
    """What is read is enough, or more than it may be."""


def read_xmp(packet: bytes) -> list[tuple[str, str]]:
    """The properties of a packet with their texts, in their order, up to a damage.

    A property is named `dc:description`; of an unknown namespace, by its last word. Documents with
    a type declaration, which could define entities, give nothing.
    """
    reader = _PacketReader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add
    with contextlib.suppress(expat.ExpatError, _StoppedError, ValueError, LookupError):
        parser.Parse(packet.strip(b"\0 \r\n\t"), True)
    return reader.found


class _PacketReader:
    """Collects the text of each element that is not RDF's own, and of attributes."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._open: list[tuple[str, list[str]]] = []

    def refuse(self, *_: object) -> None:
        self.found.clear()
        raise _StoppedError

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= DEPTH_LIMIT:
            raise _StoppedError
        self._open.append((name, []))
        for attribute, value in attributes.items():
            space, _, _ = attribute.rpartition(" ")
            if space and space not in (_RDF, _XML) and "adobe:ns:meta" not in space:
                self._keep(attribute, value)

    def end(self, name: str) -> None:
        own, texts = self._open.pop()
        text = "".join(texts)
        if not text.strip():
            return
        if name.rpartition(" ")[0] == _RDF and self._open:
            # An item of a list is a text of the property that the list is of.
            if self._open[-1][1]:
                self._open[-1][1].append("\n")
            self._open[-1][1].append(text)
        else:
            self._keep(own, text)

    def add(self, text: str) -> None:
        if self._open and (text.strip() or self._open[-1][1]):
            self._open[-1][1].append(text)

    def _keep(self, name: str, text: str) -> None:
        if len(self.found) >= PROPERTIES_LIMIT:
            raise _StoppedError
        space, _, local = name.rpartition(" ")
        if prefix := _PREFIXES.get(space):
            local = f"{prefix}:{local}"
        self.found.append((local, text))
