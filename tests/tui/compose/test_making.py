"""From the key to the picture, and what is shown on the way."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from store.errors import StoreError
from store.records import Draft, DraftPrompt, FinishReason, JobState, Purpose, Verdict
from tests.factories import make_image, make_job, make_png, make_request
from tests.screens import join_lines, read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.compose.image import ImagePanel, Making
from tui.jobs import CancelQuestion
from tui.terminal.glyphs import ASCII
from tui.widgets.picture import Picture

START = with_place(Draft(prompts=(DraftPrompt(text="night sky"),), seed=5, seed_locked=True))


def get_panel(app: SafelightApp) -> ImagePanel:
    return app.compose_screen.query_one(ImagePanel)


async def test_progress_preview_and_the_finished_picture(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        panel, picture = get_panel(app), app.compose_screen.query_one(Picture)
        await pilot.press("ctrl+j")
        await wait_for(lambda: "waiting for the worker" in panel.said, "the waiting job")
        job = darkroom.jobs[0]
        darkroom.replace_job(
            job.id,
            state=JobState.RUNNING,
            step=18,
            steps=50,
            seconds_left=0.31,
            preview=make_png(1),
        )
        await wait_for(lambda: "step 18 of 50 · 0.3 s left · x cancel" in panel.said, "progress")
        await wait_for(lambda: picture.has_image, "the preview")
        image = darkroom.finish(job)
        await wait_for(lambda: "seed 5" in panel.said, "the image")
        assert panel.said == f"seed 5 · 0.6 s · unverified · @1 {image.id[:4]}"


async def test_several_jobs_queue_and_the_running_one_is_cancelled_first(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j", "ctrl+j", "ctrl+j")
        await wait_for(lambda: "2 more" in get_panel(app).said, "the queue")
        darkroom.replace_job(darkroom.jobs[1].id, state=JobState.RUNNING)
        await wait_for(lambda: "starting" in get_panel(app).said, "the running job")
        await pilot.press("x")
        await wait_for(lambda: darkroom.jobs[1].cancel_requested, "the cancel")
        await wait_for(lambda: "stopping" in get_panel(app).said, "its display")


async def test_what_paid_jobs_may_cost_stands_in_their_line(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, _):
        paid = msgspec.structs.replace(
            make_request(), engine="stability", model="stable-diffusion-xl-1024-v1-0"
        )
        darkroom.add_job(request=make_request())
        await wait_for(lambda: "waiting for the worker" in get_panel(app).said, "the free job")
        assert "credits" not in get_panel(app).said
        darkroom.add_job(request=paid)
        await wait_for(lambda: "about 0.2 credits" in get_panel(app).said, "the price")


async def test_a_failed_job_says_why_and_can_be_run_again(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        darkroom.replace_job(
            darkroom.jobs[0].id,
            state=JobState.FAILED,
            error_kind="unreachable",
            error="No answer from [/x] \x1b]52;c;aGk=\x07 within 5 s.",
        )
        await wait_for(lambda: "failed" in get_panel(app).said, "the failure")
        assert "No answer from [/x] ␛]52;c;aGk=␇ within 5 s." in get_panel(app).said
        await pilot.press("R")
        await wait_for(lambda: darkroom.jobs[0].state is JobState.WAITING, "the retry")


async def test_u_takes_back_the_jobs_that_were_queued_last_before_any_change(
    tmp_path: Path,
) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(msgspec.structs.replace(START, images=2)))
    async with running(darkroom) as (app, pilot):
        await pilot.press("right")
        assert darkroom.draft.prompts[0].weight == 1.1
        await pilot.press("ctrl+j")
        await wait_for(lambda: len(darkroom.jobs) == 2, "the jobs")
        await pilot.press("u")
        await wait_for(lambda: all(job.cancel_requested for job in darkroom.jobs), "the end")
        assert read_message(app) == "Taken back: generating."
        assert darkroom.draft.prompts[0].weight == 1.1
        await pilot.press("u")
        assert darkroom.draft.prompts[0].weight == 1.0


async def test_a_letter_that_fires_work_says_how_it_is_taken_back(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: app.compose_screen.image, "the image")
        await pilot.press("v")
        await wait_for(lambda: darkroom.jobs, "the verification")
        assert read_message(app) == f"Verifying {image.id[:4]}; u takes it back."
        await pilot.press("u")
        await wait_for(lambda: darkroom.jobs[0].cancel_requested, "the end")
        assert read_message(app) == f"Taken back: verifying {image.id[:4]}."


async def test_jobs_that_have_ended_are_no_more_to_be_taken_back(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("right", "ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        darkroom.finish(darkroom.jobs[0])
        await wait_for(lambda: app.compose_screen.making.image, "the image")
        await pilot.press("u")
        await wait_for(lambda: darkroom.draft.prompts[0].weight == 1.0, "the weight before")
        assert not darkroom.jobs[0].cancel_requested


async def test_after_a_restart_the_last_image_is_shown_and_not_what_failed(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image()
    job = darkroom.add_job()
    darkroom.replace_job(job.id, state=JobState.FAILED, error_kind="x", error="No answer.")
    async with running(darkroom) as (app, _):
        await wait_for(lambda: image.id[:4] in get_panel(app).said, "the image")
        assert "failed" not in get_panel(app).said


async def test_the_cursor_on_the_strip_shows_its_image_and_marks_it(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    older, newer = (darkroom.add_image(make_request(seed=seed)) for seed in (71, 72))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: "●· 72" in read_screen(app), "the mark of the newest")
        app.compose_screen.focus_part("recent")
        await pilot.press("right")
        await wait_for(lambda: app.compose_screen.making.image == older, "the older one")
        app.compose_screen.focus_part("prompts")
        await wait_for(lambda: "●· 71" in read_screen(app), "its mark")
        app.compose_screen.focus_part("recent")
        await pilot.press("left")
        await wait_for(lambda: app.compose_screen.making.image == newer, "the newest again")
        assert not app.compose_screen.making.is_chosen


async def test_where_one_part_is_shown_the_tabs_name_it(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom, (60, 24)) as (app, pilot):
        assert "prompts  parameters  image  recent" in read_screen(app)
        await pilot.press("ctrl+j")
        await wait_for(lambda: "own part: tab goes there" in read_message(app), "where it is")
        await pilot.click("#tabs", offset=(24, 0))
        await wait_for(lambda: app.compose_screen.get_part() == "image", "the image's part")


async def test_narrow_and_high_the_image_stands_below_the_part(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image()
    async with running(darkroom, (60, 40)) as (app, pilot):
        for part in ("prompts", "parameters", "image", "recent"):
            app.compose_screen.focus_part(part)
            await pilot.pause()
            assert get_panel(app).region.height >= 20


async def test_what_ended_while_nobody_looked_is_told_on_return(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, _):
        job = darkroom.add_job()
        darkroom.replace_job(job.id, state=JobState.DONE, finished_at=time.time())
        await wait_for(lambda: "looked" in darkroom.draft.place, "that it was seen")
        assert read_message(app) == ""
    for state in (JobState.DONE, JobState.DONE, JobState.FAILED):
        late = darkroom.add_job()
        darkroom.replace_job(late.id, state=state, finished_at=time.time() + 5)
    async with running(darkroom) as (app, _):
        said = "While you were away: 2 images made, 1 failed; j lists them."
        await wait_for(lambda: read_message(app) == said, "what became of them")


async def test_a_long_message_is_read_to_its_end(tmp_path: Path) -> None:
    said = (
        "It is not UTF-8 text; it is kept in /tmp/" + "a-long-name-of-a-folder/" * 4 + "stack.txt"
    )
    async with running(DeskDarkroom(tmp_path, START), (80, 24)) as (app, pilot):
        app.say(said)
        await wait_for(lambda: "stack.txt" in read_screen(app), "its end")
        app.say("x " * 400)
        await wait_for(lambda: "…" in read_screen(app).splitlines()[-1], "that there is more")
        await pilot.press("down")
        await wait_for(lambda: "moving" in read_screen(app).splitlines()[-1], "one row again")
        assert "ctrl+j generate" in read_screen(app).splitlines()[-1]


async def test_a_letter_that_is_no_key_says_how_to_type(tmp_path: Path) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, pilot):
        await pilot.press("f")
        assert read_message(app) == "f is no key here: enter types in the prompt, ? shows the keys."


async def test_a_job_that_may_have_been_paid_for_is_never_sent_by_itself(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        darkroom.replace_job(darkroom.jobs[0].id, state=JobState.UNKNOWN)
        await wait_for(lambda: "may have been charged" in get_panel(app).said, "the warning")
        # However often it is looked at, and whatever else happens meanwhile.
        for seed in (777001, 777002, 777003):
            darkroom.add_image(make_request(seed=seed))
            await wait_for(lambda: str(seed) in read_screen(app), "an image")  # noqa: B023
            await pilot.press("down", "up")
        assert [call for call in darkroom.calls if call[0] == "retry"] == []
        assert darkroom.jobs[0].state is JobState.UNKNOWN
        assert len(darkroom.sent) == 1


async def test_a_filtered_image_is_a_warning(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, _):
        darkroom.add_image(finish_reason=FinishReason.FILTER, warning="blurred by the service")
        await wait_for(lambda: "filtered · blurred by the service" in get_panel(app).said, "it")


@pytest.mark.parametrize(
    ("verdict", "where", "words"),
    [
        (Verdict.IDENTICAL, None, "✓ identical"),
        (Verdict.DIFFERENT, "step 7", "≠ differs at step 7"),
        (Verdict.CANNOT_RUN, None, "? cannot run"),
    ],
)
async def test_verify_shows_the_verdict_in_words(
    tmp_path: Path, verdict: Verdict, where: str | None, words: str
) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("v")
        assert "no image yet" in read_message(app)
        image = darkroom.add_image()
        await wait_for(lambda: "unverified" in get_panel(app).said, "the image")
        await pilot.press("v")
        await wait_for(lambda: ("verify", image.id) in darkroom.calls, "the call")
        await wait_for(lambda: "verifying" in get_panel(app).said, "the job")
        darkroom.replace_job(darkroom.jobs[-1].id, state=JobState.DONE)
        darkroom.add_verification(image, verdict, where)
        await wait_for(lambda: words in get_panel(app).said, words)


@pytest.mark.exhaustive
async def test_a_terminal_without_glyphs_gets_ascii_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    prompts = (DraftPrompt(text="night sky"), DraftPrompt(text="fog", weight=-1.0))
    darkroom = DeskDarkroom(tmp_path, with_place(Draft(prompts=prompts, seed=5)))
    darkroom.add_image(make_request(seed=1))
    darkroom.add_image(make_request(seed=2), verdict=Verdict.IDENTICAL)
    async with running(darkroom, LC_ALL="C") as (app, pilot):
        await wait_for(lambda: "= identical" in get_panel(app).said, "the verdict")
        await pilot.pause()
        shown = read_screen(app)
        assert {sign for sign in shown if not sign.isascii()} == set()
        assert "-1.0" in shown


async def test_regenerate_makes_a_child_of_the_shown_image(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: "unverified" in get_panel(app).said, "the image")
        await pilot.press("r")
        await wait_for(lambda: ("regenerate", image.id) in darkroom.calls, "the call")
        assert darkroom.jobs[-1].purpose is Purpose.REGENERATE


async def test_regenerate_says_what_came_out_and_marks_the_child(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    image = darkroom.add_image()
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: "unverified" in get_panel(app).said, "the image")
        await pilot.press("r")
        await wait_for(lambda: darkroom.jobs, "the job")
        facts = {"purpose": Purpose.REGENERATE, "parent_id": image.id}
        child = darkroom.finish(darkroom.jobs[-1], comparison=Verdict.IDENTICAL, **facts)
        said = f"identical to {image.id[:4]}"
        await wait_for(lambda: read_message(app) == f"{child.id[:4]} is {said}.", "it")
        assert f"✓ {said}" in get_panel(app).said
        seeds = read_screen(app).split("recent")[1]
        assert seeds.index("✓") < seeds.index("· ")


@pytest.mark.exhaustive
async def test_an_older_image_can_be_chosen_from_the_strip(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    older = darkroom.add_image(make_request(seed=11))
    darkroom.add_image(make_request(seed=12, cfg_scale=9.0))
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: "seed 12" in get_panel(app).said, "the newest")
        await wait_for(lambda: "cfg 8→9" in read_screen(app), "what changed")
        await pilot.press("tab", "tab", "tab", "right", "enter")
        await wait_for(lambda: "seed 11" in get_panel(app).said, "the older one")
        assert "@2" in get_panel(app).said
        assert darkroom.draft.place["image"] == older.id
        await pilot.press("v")
        await wait_for(lambda: ("verify", older.id) in darkroom.calls, "its verification")
    async with running(darkroom) as (app, _):
        await wait_for(lambda: "seed 11" in get_panel(app).said, "it again after reopening")


async def test_what_the_engine_refuses_is_explained_at_the_prompt(tmp_path: Path) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="fog"), DraftPrompt(text=" ")), seed=5))
    darkroom = DeskDarkroom(tmp_path, draft)
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j")
        await wait_for(lambda: "is empty" in join_lines(read_screen(app)), "the explanation")
        assert darkroom.jobs == []
        assert darkroom.draft.seed == 5
        assert darkroom.draft.place["row"] == 1


async def test_only_negative_prompts_are_explained(tmp_path: Path) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="fog", weight=-1.0),), seed=5))
    async with running(DeskDarkroom(tmp_path, draft)) as (app, pilot):
        await pilot.press("ctrl+j")
        await wait_for(lambda: "weight above 0" in join_lines(read_screen(app)), "it")


async def test_an_error_of_the_store_keeps_the_seed(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, with_place(Draft(prompts=(DraftPrompt(text="fog"),), seed=5)))
    darkroom.send_error = StoreError("The disk is full.", "Free some space.")
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j")
        await wait_for(lambda: "The disk is full." in get_panel(app).said, "the error")
        assert "Free some space." in get_panel(app).said
        assert darkroom.draft.seed == 5
        darkroom.send_error = None
        await pilot.press("ctrl+j")
        await wait_for(lambda: darkroom.jobs, "the job")
        assert darkroom.jobs[0].request.parameters.seed == 5


async def test_a_draft_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        error = StoreError("The disk is full.")
        monkeypatch.setattr(DeskDarkroom, "draft_error", property(lambda _: error))
        await pilot.press("enter", "x")
        await pilot.pause()
        assert "not saved: The disk is full." in read_screen(app).splitlines()[0]


async def test_a_draft_that_goes_on_in_another_session_says_in_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(DeskDarkroom(tmp_path, START)) as (app, pilot):
        monkeypatch.setattr(DeskDarkroom, "find_draft_place", lambda *_: "main 2")
        await pilot.press("enter", "x")
        await pilot.pause()
        first = read_screen(app).splitlines()[0]
        assert " main 2 " in first
        assert "main is open elsewhere: kept as main 2" in first


async def test_a_refusal_by_field_goes_to_that_field(tmp_path: Path) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="fog"),), seed=5, steps=500))
    async with running(DeskDarkroom(tmp_path, draft)) as (app, pilot):
        await pilot.press("ctrl+j")
        await wait_for(lambda: "Give 10 to 150" in join_lines(read_screen(app)), "the range")
        assert app.compose_screen.get_part() == "parameters"


async def test_a_history_that_can_only_be_read_says_so(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.read_only = True
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j")
        assert "only be read" in read_message(app)
        assert darkroom.jobs == []


def test_what_the_next_images_lose_is_told_from_what_the_shown_one_did() -> None:
    """Once where both lost the same, and never as if it were of an image that did not."""
    turned, lost = "The initial image was turned upright.", "A gain map was left out."
    plain, started = make_image(1), make_image(2, warning=turned)
    making = Making(losses=(turned, lost), image=plain, place=1)
    above = f"! next: {turned}\n! next: {lost}\nseed "
    assert making.describe(ASCII).plain.startswith(above)
    said = msgspec.structs.replace(making, image=started).describe(ASCII).plain
    assert said.startswith(f"! next: {lost}\nseed ")
    assert said.endswith(f"\n! {turned}")
    assert said.count(turned) == 1
    # A job runs, so that the newest image is not told of: nothing else says it.
    waiting = msgspec.structs.replace(making, image=started, jobs=(make_job(),))
    assert waiting.describe(ASCII).plain.startswith(above.removesuffix("seed "))


async def test_all_jobs_are_cancelled_after_a_question(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j", "ctrl+j")
        await wait_for(lambda: "1 more" in get_panel(app).said, "the queue")
        await pilot.press("X")
        await wait_for(lambda: isinstance(app.screen, CancelQuestion), "the question")
        await pilot.press("n")
        await wait_for(lambda: app.screen is app.compose_screen, "the screen")
        assert ("cancel_all", "") not in darkroom.calls
        await pilot.press("X")
        await wait_for(lambda: isinstance(app.screen, CancelQuestion), "the question")
        await pilot.press("y")
        await wait_for(lambda: ("cancel_all", "") in darkroom.calls, "the end")
        await wait_for(lambda: "stopping" in get_panel(app).said, "its display")


async def test_a_paused_queue_is_seen_at_the_job_and_in_the_first_line(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    async with running(darkroom) as (app, pilot):
        await pilot.press("ctrl+j")
        await wait_for(lambda: "waiting for the worker" in get_panel(app).said, "the job")
        await darkroom.pause_queue()
        await wait_for(lambda: "the queue is paused" in get_panel(app).said, "the reason")
        await wait_for(lambda: "queue paused, 1 in it" in read_screen(app), "the first line")
        await darkroom.resume_queue()
        await wait_for(lambda: "waiting for the worker" in get_panel(app).said, "the job")
