"""Verdicts on files: images that carry their record, and bundles of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from store.errors import RequestError, StoreError
from store.metadata.bundle import Bundle
from store.metadata.signature import SignatureFinding, SignatureState, read_signers
from store.records import Comparison, Verdict
from tui.cli.run import EXIT_DIFFERENT, open_darkroom, print_json, print_line, print_note
from tui.paths import read_image_file
from tui.words import describe_verdict

if TYPE_CHECKING:
    from engines.file_verification import FileVerification, FileVerifier

SignersOption = Annotated[
    Path | None,
    typer.Option(
        "--signers",
        metavar="FILE",
        help="Of files: whose keys are whose, as OpenSSH's allowed_signers.",
    ),
]

_ZIP = b"PK"


def find_files(words: Sequence[str]) -> list[Path]:
    """The files that `words` name; none where they are ids of the history.

    A file is what is there under that name, and what has a folder or an ending in its name. Raises
    `RequestError` for both kinds at once.
    """
    paths = [Path(word) for word in words if "/" in word or "." in word or _is_file(word)]
    if paths and len(paths) < len(words):
        raise RequestError(
            "images", None, "Give files, or images of the history, but not both in one go."
        )
    return paths


def _is_file(word: str) -> bool:
    try:
        return not word.startswith("@") and Path(word).is_file()
    except (OSError, ValueError):
        return False


async def verify_files(paths: Sequence[Path], signers: Path | None, as_json: bool) -> int:
    """Verify each file from itself and print what was found; the status to end with.

    Raises `RequestError` for what cannot be read or has no record, `StoreError` for signers.
    """
    names = await _read_names(signers)
    rows: list[dict[str, Any]] = []
    is_identical = True
    async with open_darkroom() as darkroom:
        verifier = darkroom.make_file_verifier(names)
        try:
            for path in paths:
                async for name, found in _verify_path(verifier, path):
                    is_identical &= found.comparison.verdict is Verdict.IDENTICAL
                    if as_json:
                        rows.append(_describe(name, found))
                    else:
                        _print(name, found)
        finally:
            await verifier.close()
    if as_json:
        print_json({"results": rows})
    return 0 if is_identical else EXIT_DIFFERENT


async def _read_names(signers: Path | None) -> dict[str, str]:
    if signers is None:
        return {}
    names = await asyncio.to_thread(read_signers, signers)
    if not names:
        print_note(f"note: there is no signer in {signers} whose Ed25519 key signs records")
    return names


async def _verify_path(
    verifier: FileVerifier, path: Path
) -> AsyncIterator[tuple[str, FileVerification]]:
    try:
        if not await asyncio.to_thread(_is_bundle, path):
            data = await asyncio.to_thread(read_image_file, path)
            yield str(path), await verifier.verify(data)
            return
        bundle = await asyncio.to_thread(Bundle, path)
    except StoreError as error:
        message = f"{path.name}: {error.message}"
        raise RequestError("images", str(path), message, error.hint) from None
    try:
        for name in bundle.list_strangers():
            print_note(f"note: {name} is in {path.name}, but not in its list")
        if not bundle.manifest.images:
            print_note(f"There is no image in {path.name}.")
        for image in bundle.manifest.images:
            name = f"{path}: {image.image.name}"
            try:
                inputs = await asyncio.to_thread(bundle.read_inputs, image)
                data = await asyncio.to_thread(bundle.read, image.image)
                await asyncio.to_thread(bundle.read_record, image)
                found = await verifier.verify(data, inputs)
            except StoreError as error:
                yield name, _judge_broken(error)
            else:
                yield name, found
    finally:
        bundle.close()


def _is_bundle(path: Path) -> bool:
    try:
        if not path.is_file():
            return False  # a pipe might never say anything
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError:
        return False  # who reads it as an image says why


def _describe(name: str, found: FileVerification) -> dict[str, Any]:
    comparison, record = found.comparison, found.record
    return {
        "file": name,
        "image_id": record.id if record else None,
        "verdict": comparison.verdict.value,
        "pixels_sha256_then": record.pixels.sha256 if record else None,
        "pixels_sha256_now": comparison.pixels_sha256_now,
        "first_difference": comparison.first_difference,
        "psnr_db": comparison.psnr_db,
        "regenerated_id": None,
        "detail": comparison.detail,
        "is_lossy": found.is_lossy,
        "signature": msgspec.to_builtins(found.signature),
    }


def _judge_broken(error: StoreError) -> FileVerification:
    """The verdict on a file of a bundle that is not what the bundle lists."""
    from engines.file_verification import FileVerification

    return FileVerification(
        comparison=Comparison(
            verdict=Verdict.DIFFERENT, first_difference="bundle", detail=error.message
        ),
        record=None,
        signature=SignatureFinding(),
    )


def _print(name: str, found: FileVerification) -> None:
    comparison = found.comparison
    verdict = describe_verdict(comparison.verdict, comparison.first_difference)
    print_line(f"{name}  {verdict}{_describe_signature(found.signature)}")
    is_plain = comparison.verdict is Verdict.IDENTICAL and not found.is_lossy
    if comparison.detail and not is_plain:
        print_note(f"  {comparison.detail}")


def _describe_signature(found: SignatureFinding) -> str:
    """`  signed by NAME`, with the key's fingerprint; empty where nobody signed."""
    if found.state is SignatureState.NONE:
        return ""
    who = found.fingerprint or "an unknown key"
    who = f"{found.name} ({who})" if found.name else who
    return f"  signed by {who}" if found.state is SignatureState.FITS else "  not signed by this"
