"""`--report FILE`: what a verification found, as one page."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from store.errors import RequestError, SafelightError
from store.records import EnvironmentRecord, Verdict, Verification
from tui.cli.run import print_note
from tui.darkroom import Darkroom
from tui.report import PICTURES, ROWS, Entry, Heading, write_report

ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Also write a page with images, verdicts and what they were made with (HTML).",
    ),
]


class _Found(NamedTuple):
    image_id: str
    verification: Verification | None
    error: str


class ReportFile:
    """Gathers verdicts and writes them to `path`; of too many it keeps those that differ."""

    def __init__(self, path: Path | None, chosen_by: str) -> None:
        """`chosen_by`: what chose the images. Raises `RequestError` where `path` cannot be made."""
        self._path = path
        self._chosen_by = chosen_by
        self._others: list[_Found] = []
        self._identical: list[_Found] = []
        self._count = 0
        if path is None:
            return
        if path.exists():
            raise RequestError("report", str(path), f"{path} is there already: give another name.")
        if not path.absolute().parent.is_dir():
            raise RequestError("report", str(path), f"There is no folder for {path}.")

    def add(self, image_id: str, verification: Verification | None, error: str) -> None:
        """The verdict on one image. Without a `verification`, `error` says why there is none."""
        if self._path is None:
            return
        self._count += 1
        is_identical = verification is not None and verification.verdict is Verdict.IDENTICAL
        rows = self._identical if is_identical else self._others
        if len(rows) < ROWS:
            rows.append(_Found(image_id, verification, error))

    async def write(self, darkroom: Darkroom) -> None:
        """Write the page, if one is wanted. Raises `SafelightError`."""
        if self._path is None:
            return
        found = [*self._others, *self._identical][:ROWS]
        entries: list[Entry] = []
        environments: dict[str, EnvironmentRecord] = {}
        for place, row in enumerate(found):
            try:
                image = await darkroom.get_image(row.image_id)
            except SafelightError:
                continue  # It was removed meanwhile.
            thumbnail = None
            if place < PICTURES:
                thumbnail = (await darkroom.get_thumbnails([image.number])).get(image.number)
            entries.append(Entry(image, row.verification, row.error, thumbnail))
            for digest in (image.environment_digest, _get_environment(row.verification)):
                if digest and digest not in environments:
                    environment = await darkroom.get_environment(digest)
                    if environment is not None:
                        environments[digest] = environment
        heading = Heading(self._chosen_by, time.time(), _name_program(), self._count - len(entries))
        page = write_report(heading, entries, environments)
        try:
            with self._path.open("x", encoding="utf-8") as file:
                file.write(page)
        except OSError as error:
            raise RequestError(
                "report", str(self._path), f"Cannot write {self._path}: {error.strerror}."
            ) from None
        print_note(f"The report is in {self._path}.")


def _get_environment(verification: Verification | None) -> str | None:
    return None if verification is None else verification.environment_digest


def _name_program() -> str:
    try:
        return f"safelight {version('safelight')}"
    except PackageNotFoundError:
        return "safelight, not installed as a package"
