"""The embedded model makes images that its parameters decide, all of them and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.base import Produced, Progressed
from engines.builtin.models import CAPABILITIES, SAMPLERS, STYLE_WORDS
from engines.builtin.pipeline import Pipeline, choose_native_size
from engines.builtin.weights import read_manifest
from tests.engines.builtin.golden import EARLIER, FOLDER, make_requests
from tests.engines.builtin.making import pixels, run, stages, warnings
from tests.factories import BASE, make_quick_request

ROOT = Path(__file__).parents[3]

SCRIPT = """
import json, sys
from threadpoolctl import threadpool_limits
from engines.builtin.cpu import describe_kernels, find_kernel_problem
from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from tests.engines.builtin.making import run, stages
from tests.factories import make_quick_request
pipeline = Pipeline(load_weights(), 1)
threadpool_limits(int(sys.argv[1]), "blas")
found = stages(run(pipeline, make_quick_request(steps=1)))
print(json.dumps([found, find_kernel_problem(), describe_kernels()]))
"""
SIMD = " ".join(np._core._multiarray_umath.__cpu_dispatch__)  # type: ignore[attr-defined]
"""Everything that numpy would use where the processor has it."""
SLEEPY = {"OPENBLAS_THREAD_TIMEOUT": "4"}
"""Threads that have nothing to do soon sleep, and leave the processor to those that have."""


def test_golden_digests(pipeline: Pipeline) -> None:
    golden = json.loads(EARLIER.read_text())
    revision = str(read_manifest().revision)
    requests, inputs = make_requests()
    assert set(golden[revision]) == set(requests)
    for name, digests in golden[revision].items():
        found = stages(run(pipeline, requests[name], inputs))
        assert {stage: found[stage] for stage in digests} == digests, name


@pytest.mark.parametrize(
    ("blas_threads", "variables"),
    [
        (1, {}),
        (2, SLEEPY),
        (5, SLEEPY),
        (1, {"OPENBLAS_CORETYPE": "Haswell"}),
        (1, {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": SIMD}),
    ],
    ids=["native", "BLAS threads", "more threads", "Haswell", "plain"],
)
@pytest.mark.samples(2)
def test_other_kernels_and_threads_give_the_same_bits(
    pipeline: Pipeline, blas_threads: int, variables: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(blas_threads)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found, problem, kernels = json.loads(done.stdout)
    assert problem is None
    assert variables.get("OPENBLAS_CORETYPE", "") in kernels
    assert found == stages(run(pipeline, make_quick_request(steps=1)))


def test_repeats_are_equal_and_leave_nothing_behind(pipeline: Pipeline) -> None:
    first = stages(run(pipeline, make_quick_request()))
    run(pipeline, make_quick_request(width=192, seed=3))
    assert stages(run(pipeline, make_quick_request())) == first


def test_order_of_the_stack_changes_nothing(pipeline: Pipeline) -> None:
    one = run(pipeline, make_quick_request(BASE))
    other = run(pipeline, make_quick_request(BASE[::-1]))
    np.testing.assert_array_equal(pixels(one), pixels(other))


@pytest.fixture(scope="module")
def base(pipeline: Pipeline) -> NDArray[np.uint8]:
    """What the request gives that the others differ from in one parameter."""
    return pixels(run(pipeline, make_quick_request()))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 8},
        {"steps": 4},
        {"cfg_scale": 3.0},
        {"style_preset": "anime"},
        *({"sampler": name} for name in SAMPLERS if name != "k_dpmpp_2m"),
    ],
    ids=lambda c: "-".join(map(str, *c.items())),
)
@pytest.mark.samples(5)
def test_each_parameter_changes_the_image(
    pipeline: Pipeline, base: NDArray[np.uint8], changes: dict[str, Any]
) -> None:
    assert (pixels(run(pipeline, make_quick_request(**changes))) != base).any()


def test_prompts_and_weights_change_the_image(pipeline: Pipeline) -> None:
    stacks = (
        BASE,
        (BASE[0], ("clouds", -0.5)),
        (("night sky above japanese town", 1.5), BASE[1]),
        (("blue sky above japanese town", 1.0), BASE[1]),
        BASE[:1],
    )
    found = {pixels(run(pipeline, make_quick_request(stack))).tobytes() for stack in stacks}
    assert len(found) == len(stacks)


def test_samplers_differ_from_each_other() -> None:
    # That each makes what is held here is shown, image by image, by the tests of revisions.
    files = [json.loads(file.read_text()) for file in FOLDER.glob(f"{CAPABILITIES.default_model}*")]
    held = {name: digests for file in files for name, digests in file.items()}
    found = {name: held[f"sampler {name}"]["pixels"] for name in SAMPLERS}
    assert len(set(found.values())) == len(found)


def test_no_guidance_is_the_prompt_alone(pipeline: Pipeline) -> None:
    alone = pixels(run(pipeline, make_quick_request(BASE[:1], cfg_scale=1.0)))
    without = pixels(run(pipeline, make_quick_request(BASE[:1], cfg_scale=0.0)))
    other = pixels(run(pipeline, make_quick_request((("a cat", 1.0),), cfg_scale=0.0)))
    assert (alone != without).any()
    np.testing.assert_array_equal(without, other)


@pytest.mark.parametrize(
    ("size", "native"),
    [
        ((128, 128), (128, 128)),
        ((192, 128), (192, 128)),
        ((128, 192), (128, 192)),
        ((256, 256), (128, 128)),
        ((384, 256), (192, 128)),
        ((1024, 1024), (128, 128)),
        ((1024, 128), (192, 128)),
        ((576, 1024), (128, 192)),
    ],
)
def test_sizes(pipeline: Pipeline, size: tuple[int, int], native: tuple[int, int]) -> None:
    assert choose_native_size(*size) == native
    events = run(pipeline, make_quick_request(steps=1, width=size[0], height=size[1]))
    assert pixels(events).shape == (size[1], size[0], 3)
    produced = events[-1]
    assert isinstance(produced, Produced)
    assert produced.meta["made at"] == f"{native[0]}x{native[1]}"
    resizing = produced.meta["resizing"]
    assert (resizing == "none") == (size == native)
    assert ("Lanczos" in resizing) == (size not in CAPABILITIES.sizes.native)


def test_progress_has_a_preview_at_each_step(pipeline: Pipeline) -> None:
    events = run(pipeline, make_quick_request(steps=5))
    progress = [e for e in events if isinstance(e, Progressed)]
    assert [(e.step, e.steps) for e in progress] == [(k, 5) for k in range(1, 6)]
    assert all(e.preview is not None and e.preview[:4] == b"\x89PNG" for e in progress)


def test_unknown_and_surplus_words_are_reported(pipeline: Pipeline) -> None:
    assert warnings(
        run(pipeline, make_quick_request((("cats and a blorptak", 1.0),), steps=1))
    ) == ("The model does not know: blorptak.")
    long = " ".join(["cat"] * 90)
    assert "ignored: cat" in warnings(run(pipeline, make_quick_request(((long, 1.0),), steps=1)))
    assert (
        warnings(run(pipeline, make_quick_request((("a cat on the beach", 1.0),), steps=1))) == ""
    )


def test_a_prompt_without_known_words_still_gives_an_image(pipeline: Pipeline) -> None:
    events = run(pipeline, make_quick_request((("blorptak", 1.0),), steps=1))
    assert isinstance(events[-1], Produced)


def test_capabilities_agree_with_the_tables() -> None:
    assert set(CAPABILITIES.style_presets) == set(STYLE_WORDS)
    assert CAPABILITIES.default_sampler in SAMPLERS
    assert len(SAMPLERS) == 11
