"""Images are the same however many processes make them, and whatever becomes of these."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines.base import Event, Progressed
from engines.builtin.denoiser import Denoiser
from engines.builtin.elementary import Floats
from engines.builtin.parallel import group as barrier
from engines.builtin.parallel.denoise import Predictor
from engines.builtin.parallel.group import ProcessGroup
from engines.builtin.pipeline import Pipeline
from engines.builtin.text_encoder import TextEncoder
from engines.builtin.weights import Arrays, Weights, load_weights
from tests.engines.builtin.making import run, stages
from tests.factories import make_quick_request
from tests.waiting import wait_until

ROOT = Path(__file__).parents[4]
TEXTS = ("beautiful night sky above japanese town", "clouds", "a cat on the beach at sunset")
SECONDS = 30.0


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def count_descriptors() -> int:
    """Open descriptors of this process, where the system tells."""
    folder = Path("/dev/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


class Prompts:
    """A denoiser and what it needs for three prompts."""

    def __init__(self) -> None:
        self.weights = load_weights()
        encoder = TextEncoder(self.weights)
        self.net = Denoiser(self.weights)
        self.texts = [encoder.encode(encoder.read(text).ids) for text in TEXTS]
        shape = (16, 16, self.weights.manifest.sizes["channels"])
        self.z = np.random.default_rng(5).standard_normal(shape).astype(np.float32)

    def predict(
        self, texts: list[Floats], group: ProcessGroup | None = None, times: int = 1
    ) -> Floats:
        predictor = Predictor(self.net, texts, (16, 16), [0.4], group)
        for _ in range(times):
            made = predictor.predict(self.z, 0.4)
        return made


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts()


def start(weights: Weights, processes: int) -> ProcessGroup:
    """A group whose ranks are ready."""
    group = ProcessGroup(weights, processes)
    group.start()
    if processes > 1:
        wait_until(lambda: bool(group.find_ready()))
    return group


@pytest.fixture
def group(prompts: Prompts) -> Iterator[ProcessGroup]:
    made = start(prompts.weights, 2)
    yield made
    made.close()


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 9])
@pytest.mark.samples(2)
def test_a_prompt_is_the_same_alone_and_with_others(prompts: Prompts, processes: int) -> None:
    made = start(prompts.weights, processes)
    assert len(made.process_ids) == {1: 0, 2: 1, 3: 1, 4: 3, 9: 3}[processes]
    together = prompts.predict(prompts.texts, made, times=3)
    assert made.is_trusted is (processes > 1)
    for k, text in enumerate(prompts.texts):
        np.testing.assert_array_equal(prompts.predict([text])[0], together[k])
        np.testing.assert_array_equal(prompts.predict([text], made)[0], together[k])
    turned = prompts.predict(prompts.texts[::-1], made)
    np.testing.assert_array_equal(turned[::-1], together)
    made.close()


def test_partners_that_start_late_take_part_in_the_same_image(prompts: Prompts) -> None:
    made = ProcessGroup(prompts.weights, 2)
    predictor = Predictor(prompts.net, prompts.texts, (16, 16), [0.4], made)
    first = predictor.predict(prompts.z, 0.4)
    wait_until(lambda: bool(made.find_ready()))
    for _ in range(2):
        np.testing.assert_array_equal(predictor.predict(prompts.z, 0.4), first)
    assert made.is_trusted
    made.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.samples(1)
def test_an_image_survives_the_loss_of_a_partner(
    pipeline: Pipeline, group: ProcessGroup, number: int
) -> None:
    expected = stages(run(pipeline, make_quick_request(steps=6)))
    made = Pipeline(load_weights(), group=group)
    events: list[Event] = []
    for event in made.generate(make_quick_request(steps=6)):
        events.append(event)
        if isinstance(event, Progressed) and event.step == 3:
            assert group.is_trusted
            (process,) = group.process_ids
            os.kill(process, number)
    assert stages(events) == expected
    assert group.process_ids == []
    assert not is_alive(process)
    assert stages(run(made, make_quick_request(steps=6))) == expected, "and so do those after it"


def test_a_partner_that_hangs_is_given_up(
    prompts: Prompts, group: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = prompts.predict(prompts.texts, group)
    (process,) = group.process_ids
    os.kill(process, signal.SIGSTOP)
    monkeypatch.setattr(barrier, "SECONDS", 0.2)
    np.testing.assert_array_equal(prompts.predict(prompts.texts, group), expected)
    assert group.process_ids == []
    wait_until(lambda: not is_alive(process))


def test_a_partner_that_computes_otherwise_is_not_trusted(prompts: Prompts) -> None:
    arrays = {name: prompts.weights.arrays[name] for name in prompts.weights.arrays}
    arrays["layer.3.leave"] = arrays["layer.3.leave"] * np.float32(1.5)
    made = start(msgspec.structs.replace(prompts.weights, arrays=Arrays(arrays)), 2)
    expected = prompts.predict(prompts.texts)
    np.testing.assert_array_equal(prompts.predict(prompts.texts, made, times=2), expected)
    assert not made.is_trusted
    assert made.process_ids == []


def test_an_error_in_this_process_ends_the_partners(
    prompts: Prompts, group: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(prompts.net, prompts.texts, (16, 16), [0.4], group)
    predictor.predict(prompts.z, 0.4)

    def fail(*arguments: object, **options: object) -> None:
        raise KeyError("broken")

    (process,) = group.process_ids
    monkeypatch.setattr(np, "rint", fail)
    with pytest.raises(KeyError):
        predictor.predict(prompts.z, 0.4)
    assert group.process_ids == []
    wait_until(lambda: not is_alive(process))


def test_no_room_for_processes_or_memory_is_no_error(
    prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(24, "Too many open files")

    expected, before = prompts.predict(prompts.texts), count_descriptors()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    made = ProcessGroup(prompts.weights, 4)
    np.testing.assert_array_equal(prompts.predict(prompts.texts, made), expected)
    assert made.process_ids == []
    assert count_descriptors() == before
    monkeypatch.undo()
    monkeypatch.setattr("engines.builtin.parallel.group.MEMORY", 2**21)
    small = start(prompts.weights, 2)
    np.testing.assert_array_equal(prompts.predict(prompts.texts, small), expected)
    np.testing.assert_array_equal(prompts.predict(prompts.texts[:1], small), expected[:1])
    assert small.is_trusted, "one prompt has room"
    small.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.samples(1)
def test_no_partner_outlives_the_process_that_started_it(number: int) -> None:
    script = """
from engines.builtin.pipeline import Pipeline
from engines.builtin.parallel.group import ProcessGroup
from engines.builtin.weights import load_weights
from tests.factories import make_quick_request
group = ProcessGroup(load_weights(), 2)
group.start()
print(*group.process_ids, flush=True)
pipeline = Pipeline(load_weights(), group=group)
while True:
    for event in pipeline.generate(make_quick_request(steps=150)):
        pass
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    with process:
        try:
            assert process.stdout is not None
            rank = int(process.stdout.readline())
            assert is_alive(rank)
            process.send_signal(number)
            process.wait(SECONDS)
        finally:
            process.kill()
    wait_until(lambda: not is_alive(rank))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs the system's /proc")
def test_a_partner_does_not_know_the_key(prompts: Prompts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STABILITY_KEY", "sk-secret")
    monkeypatch.setenv("SAFELIGHT_SERVE_KEY", "sk-secret too")
    monkeypatch.setenv("LANG", "C.UTF-8")
    made = start(prompts.weights, 2)
    (process,) = made.process_ids
    environment = Path(f"/proc/{process}/environ").read_bytes()
    made.close()
    assert b"LANG=C.UTF-8" in environment
    assert b"sk-secret" not in environment


def test_closing_twice_and_late_is_quiet(prompts: Prompts) -> None:
    before = count_descriptors()
    made = start(prompts.weights, 4)
    processes = made.process_ids
    made.close()
    made.close()
    assert not any(map(is_alive, processes))
    assert count_descriptors() == before
    expected = prompts.predict(prompts.texts)
    np.testing.assert_array_equal(prompts.predict(prompts.texts, made), expected)
    assert made.process_ids == []


def test_weights_survive_the_way_to_a_partner(prompts: Prompts) -> None:
    arrays = pickle.loads(pickle.dumps(prompts.weights)).arrays
    assert list(arrays) == list(prompts.weights.arrays)
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], prompts.weights.arrays[name])
