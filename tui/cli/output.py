"""Where commands write images, and how: folder, name, format, record, signature."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from store.errors import RequestError
from store.limits import check_choice, check_range
from store.metadata.choices import FILE_FORMATS, QUALITIES, FileChoices
from store.metadata.signature import SigningKey, load_key
from store.records import Image
from tui.cli.inputs import read_whole
from tui.cli.options import RESULT
from tui.file_names import DEFAULT_PATTERN, FIELD_NAMES, check_pattern, make_name
from tui.saving import SIDECARS, Sidecar, write_files

if TYPE_CHECKING:
    from tui.darkroom import Darkroom

NameOption = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="PATTERN",
        help=f"File names, of the fields {', '.join(f'{{{name}}}' for name in FIELD_NAMES)}; "
        "a name that is taken gets -2, -3.",
        rich_help_panel=RESULT,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FILE_FORMATS),
        help="Encode anew; as the engine made it if omitted.",
        rich_help_panel=RESULT,
    ),
]
QualityOption = Annotated[
    str | None,
    typer.Option(
        "--quality",
        metavar="INTEGER",
        help="Of JPEG (95 if omitted) and WebP (without loss if omitted), 1 to 100.",
        rich_help_panel=RESULT,
    ),
]
StripOption = Annotated[
    bool,
    typer.Option(
        "--strip",
        help="Write no metadata: no record, no prompt, nothing of the service's.",
        rich_help_panel=RESULT,
    ),
]
SidecarOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sidecar",
        metavar="|".join(SIDECARS),
        help="Also write prompts and parameters (txt) or the record (json) beside each; "
        "repeatable.",
        rich_help_panel=RESULT,
    ),
]
SignOption = Annotated[
    Path | None,
    typer.Option(
        "--sign",
        metavar="KEY",
        help="Sign the records with this Ed25519 key, as ~/.ssh/id_ed25519.",
        rich_help_panel=RESULT,
    ),
]


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """How images are written into `folder`. `key` signs their records."""

    folder: Path
    pattern: str = DEFAULT_PATTERN
    choices: FileChoices = FileChoices()
    sidecars: tuple[Sidecar, ...] = ()
    key: SigningKey | None = None

    async def write(self, darkroom: Darkroom, image: Image, place: int) -> Path:
        """Write an image, the `place`th of this command; its path. Raises `SafelightError`."""
        made = await darkroom.make_file(image.id, self.choices, self.key)
        name = make_name(self.pattern, image, place)
        return await asyncio.to_thread(write_files, self.folder, name, made, self.sidecars)


def read_output(
    folder: Path | None,
    *,
    pattern: str = DEFAULT_PATTERN,
    file_format: str | None = None,
    quality: str | None = None,
    strip: bool = False,
    with_inputs: bool = False,
    sidecars: Sequence[str] | None = None,
    sign: Path | None = None,
) -> Output | None:
    """What the options say, None without a folder. Raises `RequestError` or `StoreError`."""
    if folder is None:
        given = {
            "--name": pattern != DEFAULT_PATTERN,
            "--format": file_format is not None,
            "--strip": strip,
            "--sidecar": bool(sidecars),
            "--sign": sign is not None,
        }
        if named := [name for name, is_given in given.items() if is_given]:
            raise RequestError(
                "output",
                None,
                f"{named[0]} is about files, and no folder is given.",
                "Give -o DIR.",
            )
        return None
    key = None
    if sign is not None:
        if strip:
            raise RequestError(
                "sign", str(sign), "What is stripped has no record to sign.", "Give one of both."
            )
        key = load_key(sign)
    kind = None if file_format is None else check_choice("format", file_format, FILE_FORMATS)
    number = read_whole("quality", quality, *QUALITIES)
    if number is not None:
        check_range("quality", "quality", number, *QUALITIES)
        if kind not in ("jpeg", "webp"):
            raise RequestError(
                "quality", quality, "Only JPEG and WebP have a quality.", "Give --format too."
            )
    if strip and "json" in (sidecars or ()):
        raise RequestError(
            "sidecar", "json", "A stripped image has no record beside it.", "Leave one of both out."
        )
    return Output(
        folder=folder,
        pattern=check_pattern(pattern),
        choices=FileChoices(format=kind, quality=number, strip=strip, with_inputs=with_inputs),
        sidecars=tuple(
            dict.fromkeys(check_choice("sidecar", each, SIDECARS) for each in sidecars or ())
        ),
        key=key,
    )
