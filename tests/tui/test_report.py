"""The report of a verification is one page that runs nothing and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from store.records import EnvironmentRecord, Stage, Verdict, Verification
from store.request import Prompt
from tests.factories import NOON, make_image, make_png, make_request
from tui.report import Entry, Heading, write_report

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><iframe src=//evil>",
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp;amp; &#60;script&#62;",
    "]]><!-- --><style>*{}</style>",
    "javascript:alert(1)",
    "\x00\x1b[31m\x9b31m\u202egnp.exe\ufeff",
    "half a character \ud800",
)


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


def verify(verdict: Verdict, **facts: object) -> Verification:
    values: dict[str, object] = {
        "number": 1,
        "image_id": "a" * 32,
        "verdict": verdict,
        "pixels_sha256_then": "b" * 64,
        "pixels_sha256_now": "c" * 64,
        "first_difference": None,
        "detail": "",
        "psnr_db": None,
        "regenerated_id": None,
        "environment_digest": None,
        "created_at": NOON,
    }
    return Verification(**values | facts)  # type: ignore[arg-type]


def write(*entries: Entry, chosen_by: str = "all") -> str:
    heading = Heading(chosen_by, NOON, "safelight 1.0", left_out=3)
    return write_report(heading, entries, {"e" * 64: EnvironmentRecord(values={"numpy": "2.4"})})


def test_verdicts_images_stages_and_environment_are_in_it() -> None:
    thumbnail = make_png(1)
    image = make_image(1, stages=(Stage(name="latent", step=7, sha256="ab" * 32),))
    page = write(
        Entry(image, verify(Verdict.IDENTICAL, detail="Every pixel is the same."), "", thumbnail),
        Entry(
            make_image(2),
            verify(Verdict.DIFFERENT, first_difference="step 7", psnr_db=31.25),
            "",
            None,
        ),
        Entry(make_image(3), None, "The worker ended.", None),
    )
    seen = Page(page).text
    for text in (
        "1 identical, 1 different, 1 not verified",
        "Every pixel is the same.",
        "differs at step 7",
        "31.25 dB",
        "The worker ended.",
        "latent 7",
        image.id,
        image.request_digest,
        "numpy",
        "safelight 1.0",
        "3 more images",
    ):
        assert text in seen, text
    assert base64.b64encode(thumbnail).decode() in page


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_record_becomes_markup(text: str) -> None:
    safe = write(
        Entry(make_image(1, make_request(Prompt(text="castle"))), None, "why", make_png(1))
    )
    request = make_request(Prompt(text="castle"))
    image = make_image(1, request, mime=text)
    hostile = Entry(
        image,
        verify(Verdict.DIFFERENT, first_difference=text, detail=text),
        "",
        None,
    )
    plain = Entry(image, verify(Verdict.DIFFERENT, first_difference="x", detail="x"), "", None)
    page, same = Page(write(hostile, chosen_by=text)), Page(write(plain))
    assert page.tags == same.tags
    assert page.attributes == same.attributes
    assert not {"script", "iframe", "link", "object"} & set(Page(safe).tags)
    written = write(hostile, chosen_by=text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", written)
    written.encode()


@pytest.mark.parametrize("text", HOSTILE[:7])
def test_prompts_are_shown_as_they_are(text: str) -> None:
    page = Page(write(Entry(make_image(1, make_request(Prompt(text=text))), None, "", None)))
    assert text in page.text
    assert page.tags == Page(write(Entry(make_image(1), None, "", None))).tags


def test_its_policy_lets_nothing_be_loaded_and_its_own_style_hold() -> None:
    page = write(Entry(make_image(1), None, "", make_png(1)))
    [style] = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    attributes = dict(Page(page).attributes)
    assert attributes["content"] is not None
    policies = [value for name, value in Page(page).attributes if name == "content"]
    assert policies[0] == f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    sources = [value for name, value in Page(page).attributes if name in ("src", "href")]
    assert sources
    assert all(value is not None and value.startswith("data:image/") for value in sources)
