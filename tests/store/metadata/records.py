"""Hostile records: of generated requests, with texts of all kinds in every field that takes one."""

from __future__ import annotations

from typing import Any
from unittest import mock

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from store.metadata.record import (
    CopyFact,
    FileFact,
    ImportedFact,
    InputFact,
    PixelsFact,
    Record,
    VerificationFact,
)
from store.records import Stage
from store.request import PromptStack, Request
from tests.store import strategies
from tests.store.strategies import DIGESTS, make_struct

UGLY = st.sampled_from(
    (
        "Negative prompt: a town",
        "a\nNegative prompt: b\nSteps: 99, Sampler: x, CFG scale: 1, Seed: 7, Size: 1x1",
        "(night:1.5) [sky] \\(town\\) ((::0.3))",
        "\u202eright to left\u2066",
        '"quoted", {"json": "Steps: 1"}',
        "</script><x:xmpmeta>]]>",
        "𝕬 family 👨‍👩‍👧 \u2028 line \u2029 paragraph",
        "lens: 50mm, iso: 100, shutter: 1/200",
        "a" * 2000,
    )
)
"""Prompts that look like what other programs write."""


def make_requests() -> st.SearchStrategy[Request]:
    """Requests whose prompts are random, or look like something else."""
    ugly = st.lists(UGLY, max_size=3)

    def add(pair: tuple[Request, list[str]]) -> Request:
        request, texts = pair
        own = request.stack.prompts
        renamed = [msgspec.structs.replace(own[0], text=text) for text in texts if own]
        prompts = (*own, *renamed)[:64]
        return msgspec.structs.replace(request, stack=PromptStack(prompts=prompts))

    return st.tuples(make_struct(Request), ugly).map(add)


def make_records() -> st.SearchStrategy[Record]:
    """Records with anything in them."""
    names = st.text(st.characters(codec="utf-8"), max_size=20)
    texts = st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=40), max_size=4)
    times = st.floats(0, 1e11)
    known: dict[tuple[type, str], st.SearchStrategy[Any]] = {
        (Record, "format"): st.just(1),
        (Record, "request"): make_requests(),
        (Record, "environment"): texts,
        (Record, "meta"): texts,
        (Record, "program"): names,
        (Record, "id"): names,
        (Record, "parent_id"): st.none() | names,
        (Record, "request_sha256"): DIGESTS,
        (Record, "warning"): st.none() | names,
        (Record, "created_at"): times,
        (Stage, "name"): names,
        (InputFact, "mime"): names,
        (InputFact, "notes"): st.lists(names, max_size=2).map(tuple),
        (FileFact, "mime"): names,
        (ImportedFact, "unread"): st.lists(st.tuples(names, st.none() | names), max_size=3).map(
            tuple
        ),
        (CopyFact, "mime"): names,
        (PixelsFact, "mode"): names,
        (VerificationFact, "first_difference"): st.none() | names,
    }
    with mock.patch.dict(strategies.LIMITED, known):
        made = make_struct(Record)
    return made.map(
        lambda record: msgspec.structs.replace(record, request_sha256=record.request.digest)
    )


def draw_records(count: int) -> list[Record]:
    """`count` records, the same in each run."""
    drawn: list[Record] = []

    @seed(20)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(make_records())
    def draw(record: Record) -> None:
        drawn.append(record)

    draw()
    return drawn[:count]
