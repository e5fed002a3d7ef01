"""What makes a watching screen look again, and what does not."""

from __future__ import annotations

from pathlib import Path

from store import queue, sessions
from store.database import Database
from store.records import Draft
from store.request import Parameters, Prompt, PromptStack, Request
from store.watch import read_fingerprint

REQUEST = Request(
    engine="builtin",
    model="toy",
    stack=PromptStack(prompts=(Prompt(text="sky"),)),
    parameters=Parameters(
        seed=1,
        steps=1,
        cfg_scale=7,
        sampler="ddim",
        width=128,
        height=128,
        style_preset=None,
    ),
)


def test_each_step_of_a_job_shows_and_a_draft_does_not(tmp_path: Path) -> None:
    with Database.open(tmp_path / "data") as db:
        seen = [read_fingerprint(db)]
        sessions.save_draft(db, "main", Draft(seed=5))
        assert read_fingerprint(db) == seen[0]
        (job,) = queue.enqueue(db, [REQUEST])
        seen.append(read_fingerprint(db))
        token = queue.recover(db, paid_engines=())
        queue.claim(db, token)
        seen.append(read_fingerprint(db))
        queue.request_cancel(db, job.id)
        seen.append(read_fingerprint(db))
        queue.fail(db, job.id, token, "internal", "a fault")
        seen.append(read_fingerprint(db))
        assert len(set(map(str, seen))) == len(seen)
