"""How verdicts are printed: a line each, or one JSON document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from store.records import Verdict, Verification
from tui.cli.run import EXIT_DIFFERENT, print_json, print_line, print_note
from tui.words import describe_verdict


class VerdictPrinter:
    """Takes verdicts one after the other; `end` gives the status to end with."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._rows: list[dict[str, Any]] = []
        self._count = 0
        self._is_all_identical = True

    def add(
        self,
        image_id: str,
        pixels_sha256: str,
        verification: Verification | None,
        error: str,
        path: Path | None = None,
    ) -> None:
        """The verdict on one image. Without a `verification`, `error` says why there is none.

        `path`: where what was made was written, None where it was not.
        """
        row = _describe_verification(image_id, pixels_sha256, verification, error)
        self._count += 1
        detail = row["detail"]
        is_identical = row["verdict"] == Verdict.IDENTICAL.value
        self._is_all_identical = self._is_all_identical and is_identical
        if self._as_json:
            self._rows.append(row if path is None else row | {"path": str(path)})
        else:
            said = describe_verdict(Verdict(row["verdict"]), row["first_difference"])
            child = f", kept as {row['regenerated_id'][:8]}" if row["regenerated_id"] else ""
            written = "" if path is None else f"  {path}"
            print_line(f"{image_id[:8]}  {said}{child}{written}")
        if not is_identical and detail:
            print_note(f"  {detail}")

    def end(self, **facts: Any) -> int:
        """Print the document with `facts` beside the results, where it is one; the exit status."""
        if self._as_json:
            print_json({"results": self._rows, **facts})
        elif not self._count:
            print_note("There is no image to verify.")
        return 0 if self._is_all_identical else EXIT_DIFFERENT


def _describe_verification(
    image_id: str, pixels_sha256: str, verification: Verification | None, error: str
) -> dict[str, Any]:
    """The verdict on one image as `verify --json` prints it, and its detail."""
    row: dict[str, Any] = {
        "image_id": image_id,
        "verdict": Verdict.CANNOT_RUN.value,
        "pixels_sha256_then": pixels_sha256,
        "pixels_sha256_now": None,
        "first_difference": None,
        "psnr_db": None,
        "regenerated_id": None,
        "detail": error,
    }
    if verification is not None:
        row |= {
            "verdict": verification.verdict.value,
            "pixels_sha256_now": verification.pixels_sha256_now,
            "first_difference": verification.first_difference,
            "psnr_db": verification.psnr_db,
            "regenerated_id": verification.regenerated_id,
            "detail": verification.detail,
        }
    return row
