"""Whose metadata an image file has: each dialect is asked, the surest sign first.

What comes in are texts by the names that they have in the file. A text may stand in for others
there: EXIF has one text, which may be that of any dialect, and XMP is taken apart first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from store.metadata.bounded_json import JsonError, read_json, read_object
from store.metadata.comfyui import is_graph, read_comfyui
from store.metadata.draw_things import is_draw_things, read_draw_things
from store.metadata.easy_diffusion import is_easy_diffusion, read_easy_diffusion
from store.metadata.fooocus import is_fooocus, read_fooocus
from store.metadata.foreign import Collector, Grade, Reading, to_object
from store.metadata.infotext import read_infotext
from store.metadata.invokeai import read_dream, read_invokeai, read_invokeai_2
from store.metadata.mold import read_mold
from store.metadata.novelai import read_novelai
from store.metadata.swarmui import read_swarmui
from store.metadata.xmp import read_xmp

COMMENT = "UserComment"
"""The name of the text that EXIF data hold."""

XMP = ("XMP", "XML:com.adobe.xmp")
"""The names of an XMP packet: of a file that is read, and of a text of a PNG file."""

_ANYBODYS = (
    "parameters",
    "generation_parameters",
    COMMENT,
    "Comment",
    "ImageDescription",
    "Model",
    "Make",
)
"""The names of texts that may be of any dialect; cameras have the last of them too."""

_PROSE = ("prompt", "Description", "description", "Comment", "comment", "ImageDescription", COMMENT)


def read_texts(pairs: Iterable[tuple[str, str]]) -> Reading | None:
    """What a file's texts (name, text) say of its image, None where they say nothing of it.

    Of several the one that a request can hold most of. Never raises for what the texts are.
    """
    texts: dict[str, str] = {}
    for name, text in pairs:
        if name in XMP:
            texts = dict(read_xmp(text.encode("utf-8", "replace"))) | texts
        else:
            texts[name] = text
    found = [reading for reading in _list_readings(texts) if reading is not None]
    told = [reading for reading in found if reading.prompts or reading.grade != Grade.TEXT_ONLY]
    if told:
        return min(told, key=lambda reading: list(Grade).index(reading.grade))
    return _read_prose(texts) or next(iter(found), None)


def _list_readings(texts: Mapping[str, str]) -> Iterable[Reading | None]:
    """What each dialect makes of them, the surest first."""
    yield _with(texts, "invokeai_metadata", read_invokeai)
    yield _with(texts, "sd-metadata", read_invokeai_2)
    if "sd-metadata" not in texts and "Dream" in texts:
        yield read_dream(texts["Dream"])
    for name in _ANYBODYS:
        if name in texts:
            yield _read_any(texts[name], texts)
    yield _with(texts, "mold:parameters", read_mold)
    prompt, workflow = _load(texts.get("prompt", "")), _load(texts.get("workflow", ""))
    if (prompt is not None and is_graph(prompt)) or (workflow or {}).get("nodes"):
        text = "\n".join(texts[name] for name in ("prompt", "workflow") if name in texts)
        yield read_comfyui(prompt, workflow, text)
    if is_easy_diffusion(texts):
        yield read_easy_diffusion(texts)
    settings = _load(texts.get("exif:UserComment", ""))
    if settings is not None and is_draw_things(settings):
        yield read_draw_things(settings, texts["exif:UserComment"])
    if "dc:description" in texts:
        yield _read_any(texts["dc:description"], texts)


def _read_any(text: str, texts: Mapping[str, str]) -> Reading | None:
    """A text that may be anybody's: JSON by what is in it, else A1111's."""
    for sign in ("prompt:", "workflow:", "Prompt:", "Workflow:", "mold:parameters"):
        # So a graph stands in EXIF data of WebP files, and mold's record in a comment of JPEG.
        if text.startswith(sign) and (graph := _load(text[len(sign) :].strip())) is not None:
            if sign.startswith("mold"):
                return read_mold(graph, text)
            if "rompt" in sign:
                return read_comfyui(graph, None, text)
            return read_comfyui(None, graph, text)
    values = _load(text)
    if values is None:
        reading = read_infotext(text)
        if reading is not None and _is_fooocus_file(texts):
            return msgspec.structs.replace(reading, dialect="Fooocus")
        return reading
    if "sui_image_params" in values:
        return read_swarmui(values, text)
    if texts.get("Software", "").startswith("NovelAI") or "v4_prompt" in values:
        return read_novelai(values, texts, text)
    if is_graph(values):
        return read_comfyui(values, None, text)
    if is_graph(to_object(values.get("prompt"))):
        return read_comfyui(to_object(values["prompt"]), to_object(values.get("workflow")), text)
    if is_easy_diffusion(values):
        return read_easy_diffusion(values)
    if _is_fooocus_file(texts) or is_fooocus(values):
        return read_fooocus(values, text)
    if is_draw_things(values):
        return read_draw_things(values, text)
    return None


def _is_fooocus_file(texts: Mapping[str, str]) -> bool:
    has_scheme = "fooocus_scheme" in texts or texts.get("MakerNote") in ("fooocus", "a1111")
    return has_scheme or texts.get("Software", "").startswith("Fooocus")


def _read_prose(texts: Mapping[str, str]) -> Reading | None:
    """Of what nobody's grammar fits, the first text that may be a prompt."""
    for name in ("parameters", *_PROSE):
        text = texts.get(name, "").strip()
        if text and len(text) <= 20_000 and not _is_json(text):
            collector = Collector("text", text)
            collector.take_prompt(text)
            if "Software" in texts:
                collector.tell("Software", texts["Software"])
            return collector.finish()
    return None


def _with(texts: Mapping[str, str], name: str, read: Any) -> Reading | None:
    values = _load(texts.get(name, ""))
    return None if values is None else read(values, texts[name])


def _is_json(text: str) -> bool:
    try:
        read_json(text)
    except JsonError:
        return False
    return True


def _load(text: str) -> dict[str, Any] | None:
    if text.lstrip()[:1] != "{":
        return None
    try:
        return read_object(text)
    except JsonError:
        return None
