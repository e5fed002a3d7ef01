"""The report of a verification: one HTML file with images, verdicts and what they were made with.

Nothing in it is loaded from elsewhere and nothing in it runs: images are data in the file, and its
own policy forbids the rest. Every text of a record is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from store.records import EnvironmentRecord, Image, Verdict, Verification
from store.request import Prompt
from tui.text import show_safely
from tui.words import (
    count_things,
    describe_counts,
    describe_verdict,
    mark_verdict,
    show_moment,
    write_seconds,
    write_size,
)

ROWS = 5_000
"""Most images that a report shows; how many more there are is said."""

PICTURES = 1_000
"""Most thumbnails in it, those that are not identical first: 2 kB each."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; }
body { padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
p.lead { font-size: 1.1rem; }
.quiet { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; }
td { vertical-align: top; padding: .6rem; border-top: 1px solid var(--line); }
img { width: 96px; height: auto; display: block; }
.picture { width: 96px; }
.verdict { white-space: nowrap; font-weight: 600; }
.identical { color: #1a7f37; }
.different { color: #c5221f; }
.other { color: #9a6700; }
code { font: 12px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
details { margin-top: .3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; margin: .3rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.prompt { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


class Entry(NamedTuple):
    """One image of a report. Without a `verification`, `error` says why there is none."""

    image: Image
    verification: Verification | None
    error: str
    thumbnail: bytes | None


class Heading(NamedTuple):
    """What a report is of: what chose its images, when it was written, by which version."""

    chosen_by: str
    written_at: float
    program: str
    left_out: int = 0


def write_report(
    heading: Heading, entries: Sequence[Entry], environments: dict[str, EnvironmentRecord]
) -> str:
    """The whole page. `environments`: what images were made and verified with, by digest."""
    counts = Counter(
        entry.verification.verdict.value if entry.verification else "not verified"
        for entry in entries
    )
    is_proven = set(counts) == {Verdict.IDENTICAL.value}
    verdict = "identical" if is_proven else "different"
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Verification of {_escape(count_things(len(entries), 'image'))}</title>",
        f"<style>{_STYLE}</style></head><body>",
        "<h1>Verification report</h1>",
        f'<p class="lead {verdict}">{_escape(describe_counts(counts))}</p>',
        f'<p class="quiet">Images: {_escape(heading.chosen_by)}. Written '
        f"{_escape(show_moment(heading.written_at))} by {_escape(heading.program)}. Each image was "
        "made again from its record and compared: every decoded pixel, and the digest of every "
        "recorded stage.</p>",
    ]
    if heading.left_out:
        said = f"{count_things(heading.left_out, 'more image')} had their turn and are not shown."
        lines.append(f"<p>{_escape(said)}</p>")
    lines.append("<h2>Images</h2><table>")
    lines += [_write_entry(entry) for entry in entries]
    lines.append("</table><h2>Made and verified with</h2>")
    for name, environment in sorted(environments.items()):
        lines.append(f"<h3><code>{_escape(name[:16])}</code></h3>{_list(environment.values)}")
    lines.append("</body></html>\n")
    return "\n".join(lines)


def _write_entry(entry: Entry) -> str:
    image, verification = entry.image, entry.verification
    picture = ""
    if entry.thumbnail is not None:
        kind = "png" if entry.thumbnail.startswith(b"\x89PNG") else "webp"
        data = base64.b64encode(entry.thumbnail).decode()
        picture = f'<img alt="" src="data:image/{kind};base64,{data}">'
    verdict = verification.verdict if verification else None
    style = {Verdict.IDENTICAL: "identical", Verdict.DIFFERENT: "different"}
    words = (
        describe_verdict(verification.verdict, verification.first_difference)
        if verification
        else "not verified"
    )
    told = [f'<span class="verdict {style.get(verdict or Verdict.CANNOT_RUN, "other")}">']
    told.append(f"{_escape(mark_verdict(verdict))} {_escape(words)}</span>")
    detail = verification.detail if verification else entry.error
    if detail:
        told.append(f"<p>{_escape(detail)}</p>")
    if verification is not None:
        told.append(_list(_describe_verification(verification)))
    prompts = "".join(_write_prompt(prompt) for prompt in image.request.stack.prompts)
    return (
        f'<tr><td class="picture">{picture}</td>'
        f"<td><code>{_escape(image.id)}</code>{prompts}{_describe_image(image)}</td>"
        f"<td>{''.join(told)}</td></tr>"
    )


def _write_prompt(prompt: Prompt) -> str:
    weight = f"{prompt.weight:g}" if prompt.enabled else "off"
    return (
        f'<p class="prompt"><span class="quiet">{_escape(weight)}</span> {_escape(prompt.text)}</p>'
    )


def _describe_image(image: Image) -> str:
    parameters = image.request.parameters
    facts = {
        "engine": f"{image.request.engine}, model {image.request.model}",
        "seed": str(parameters.seed),
        "steps": str(parameters.steps),
        "cfg": f"{parameters.cfg_scale:g}",
        "sampler": parameters.sampler,
        "size": write_size(image.width, image.height),
        "made": f"{show_moment(image.created_at)}, {write_seconds(image.seconds)}",
        "request": image.request_digest,
        "pixels": image.pixels_sha256,
        "file": image.file_sha256 + (" (pixels dropped)" if image.is_thinned else ""),
        "made with": image.environment_digest[:16],
    }
    stages = {
        f"{stage.name} {stage.step}" if stage.step else stage.name: stage.sha256
        for stage in image.stages
    }
    listed = ""
    if stages:
        said = count_things(len(stages), "stage")
        listed = f"<details><summary>{_escape(said)}</summary>{_list(stages)}</details>"
    return f"<details><summary>record</summary>{_list(facts)}{listed}</details>"


def _describe_verification(verification: Verification) -> dict[str, str]:
    facts = {"verified": show_moment(verification.created_at)}
    if verification.first_difference:
        facts["first difference"] = verification.first_difference
    if verification.psnr_db is not None:
        facts["PSNR"] = f"{verification.psnr_db:.2f} dB"
    if verification.pixels_sha256_now:
        facts["pixels now"] = verification.pixels_sha256_now
    if verification.environment_digest:
        facts["verified with"] = verification.environment_digest[:16]
    return facts


def _list(facts: dict[str, str]) -> str:
    rows = (
        f"<dt>{_escape(name)}</dt><dd><code>{_escape(value)}</code></dd>"
        for name, value in facts.items()
    )
    return f"<dl>{''.join(rows)}</dl>"


def _escape(text: str) -> str:
    """`text` as HTML, its control characters made visible, what is no character replaced."""
    shown = show_safely(text, lines=True)
    return escape(shown.encode("utf-8", "replace").decode(), quote=True)
