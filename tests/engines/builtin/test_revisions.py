"""Revisions of the embedded models: what was released keeps its bits and its name."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.base import EngineError, Failure
from engines.builtin import SPEC, code
from engines.builtin.engine import BuiltinEngine
from engines.builtin.methods import METHODS, find_unknown
from engines.builtin.models import (
    CAPABILITIES,
    MODEL,
    RELEASED,
    SAMPLERS,
    UPSCALE_MODEL,
    Revision,
    find_bundle,
    name_revision,
)
from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import FOLDERS, load_model, load_weights, read_manifest
from engines.resolve import UpscaleChoices, resolve_draft, resolve_upscale
from engines.server.service import GenerationService
from engines.verify import compare
from store.errors import RequestError
from store.records import Draft, DraftPrompt, EnvironmentRecord
from store.request import Request
from tests.engines.builtin.golden import FOLDER, list_held, make_drawn, make_enlarged
from tests.engines.builtin.making import Inputs, run, stages
from tests.factories import make_quick_request

ROOT = Path(__file__).parents[3]
DRAFT = Draft(prompts=(DraftPrompt(text="night sky"),), seed=7)

HELD = {
    "safelight-128-v1@3": "99558923ad04d004",
    "safelight-upscale-x2@1": "4bb501b4b2898b1d",
}
"""The files of digests as they were released: nobody may change one, whatever the code says."""


def name_case(case: tuple[Revision, str, str]) -> str:
    return f"{case[0].name}-{case[2]}"


CASES = [
    (revision, file.stem, name)
    for revision in RELEASED
    for file in sorted(FOLDER.iterdir())
    if file.stem.partition(" ")[0] == revision.name
    for name in json.loads(file.read_text())
]


@pytest.fixture(scope="module")
def pipelines() -> Iterator[dict[str, Pipeline]]:
    """A pipeline for each revision that was ever released."""
    made = {revision.name: Pipeline(load_model(revision.name)) for revision in RELEASED}
    yield made
    for each in made.values():
        each.close()


@pytest.fixture(scope="module")
def requests() -> tuple[dict[str, dict[str, Request]], Inputs]:
    inputs = Inputs()
    return {MODEL: make_drawn(inputs), UPSCALE_MODEL: make_enlarged(inputs)}, inputs


@pytest.mark.parametrize("case", CASES, ids=name_case)
@pytest.mark.samples(24)
def test_a_released_revision_makes_the_same_bits_for_ever(
    pipelines: dict[str, Pipeline],
    requests: tuple[dict[str, dict[str, Request]], Inputs],
    case: tuple[Revision, str, str],
) -> None:
    (revision, file, name), (made, inputs) = case, requests
    digests = json.loads((FOLDER / f"{file}.json").read_text())[name]
    assert stages(run(pipelines[revision.name], made[revision.model][name], inputs)) == digests


def test_nobody_changes_what_was_released() -> None:
    found = {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in FOLDER.iterdir()}
    assert {name: digest[:16] for name, digest in found.items()} == HELD
    for revision in RELEASED:
        assert found[revision.name] == revision.golden, revision.name


def test_every_way_to_the_pixels_is_held() -> None:
    held = list_held(CAPABILITIES.default_model)
    assert {name.partition(" ")[2] for name in held if name.startswith("sampler")} == set(SAMPLERS)
    styles = {name.partition(" ")[2] for name in held if name.startswith("style")}
    assert styles == set(CAPABILITIES.style_presets)
    sizes = {name.partition(" ")[2] for name in held if name.startswith("size")}
    assert {f"{w}x{h}" for w, h in CAPABILITIES.sizes.native[1:]} - {"256x256"} <= sizes


def test_weights_and_methods_are_those_that_were_released() -> None:
    for revision in RELEASED:
        manifest = load_model(revision.name).manifest
        assert manifest.files == revision.files
        assert manifest.revision == revision.bundle
        assert revision.model != MODEL or manifest.methods == revision.methods
        assert not find_unknown(manifest.methods)
        assert {purpose: METHODS[purpose] for purpose in revision.methods}.keys() <= METHODS.keys()


def test_a_complete_request_names_the_revision() -> None:
    (drawn,) = resolve_draft(DRAFT, CAPABILITIES)
    assert drawn.model == "safelight-128-v1@3"
    for name in (MODEL, drawn.model):
        draft = Draft(prompts=DRAFT.prompts, seed=7, model=name)
        assert resolve_draft(draft, CAPABILITIES) == [drawn]
    for model in (None, UPSCALE_MODEL, "safelight-upscale-x2@1"):
        choices = UpscaleChoices(model=model)
        larger = resolve_upscale("ab" * 32, (64, 64), drawn, choices, CAPABILITIES)
        assert larger.model == "safelight-upscale-x2@1"
    assert Request.from_json(drawn.to_json()) == drawn


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("safelight-128-v1@2", "Revision 2 of safelight-128-v1 is not on board; on board: 3."),
        ("safelight-128-v2", "Unknown model 'safelight-128-v2'."),
        ("safelight-128-v1@", "Unknown model|not the name of a model"),
    ],
)
def test_what_is_not_on_board_is_named(name: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        resolve_draft(Draft(prompts=DRAFT.prompts, model=name), CAPABILITIES)
    assert caught.value.field == "model"
    with pytest.raises(EngineError, match="on board") as gone:
        load_model(name)
    assert gone.value.kind is Failure.MODEL_GONE


def test_a_request_without_a_revision_means_the_one_of_its_time() -> None:
    request = make_quick_request()
    assert request.model == MODEL
    assert SPEC.name_model(request) == "safelight-128-v1@3"
    for recorded in ("2", "3"):
        environment = EnvironmentRecord(values={"engine revision": recorded})
        assert SPEC.name_model(request, environment) == f"safelight-128-v1@{recorded}"
    assert name_revision("safelight-128-v1@4", "3") == "safelight-128-v1@4"
    assert name_revision(UPSCALE_MODEL, "2") == "safelight-upscale-x2@1"
    assert find_bundle("safelight-upscale-x2@1") == find_bundle(MODEL) == 3


def test_weights_of_another_revision_are_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights" / "3"
    shutil.copytree(FOLDERS / "3", folder)
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"revision": 3', '"revision": 4'))
    board = find_board_with(folder)
    monkeypatch.setattr("engines.builtin.weights.find_weights", lambda: board)
    with pytest.raises(EngineError, match="are of revision 4, not 3") as caught:
        load_model("safelight-128-v1@3")
    assert caught.value.kind is Failure.DAMAGED_MODEL


def find_board_with(folder: Path) -> object:
    from engines.builtin.weights import Board

    return Board(folders={3: folder}, packages={}, problems=())


def test_weights_that_ask_for_a_method_of_another_program_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(FOLDERS / "3", folder)
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace("composed-3", "composed-9"))
    with pytest.raises(EngineError, match="asks for guidance composed-9") as caught:
        Pipeline(load_weights(folder))
    assert caught.value.kind is Failure.MODEL_GONE
    assert read_manifest(folder).methods["guidance"] == "composed-9"


def list_imports(path: Path) -> set[str]:
    """The modules of this project that a file imports when it runs."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text()))
    return {name for name in found if name.split(".")[0] in ("engines", "store")}


def test_the_digest_of_the_code_covers_what_the_pipeline_imports() -> None:
    """Beyond the engine's folder only what handles pixels counts: the rest decides none."""
    start = "engines/builtin/pipeline.py"
    seen, waiting = {start}, [start, "engines/builtin/parallel/rank.py"]
    while waiting:
        for module in list_imports(ROOT / waiting.pop()):
            name = f"{module.replace('.', '/')}.py"
            if name not in seen and name.startswith("engines/builtin/"):
                waiting.append(name)
            seen.add(name)
    seen.add("engines/builtin/parallel/rank.py")
    own = {name for name in seen if name.startswith("engines/builtin/")}
    pixels = {"store/decoding.py", "store/exif.py", "store/pixels.py"}
    assert own | pixels == set(code.SOURCES)
    around = {name for name in seen - own if not name.endswith("__init__.py")}
    assert around == {
        "store/decoding.py",
        "store/pixels.py",
        "store/errors.py",
        "store/request.py",
        "engines/base.py",
        "engines/capabilities.py",
        "engines/installed.py",
    }


def test_changed_code_has_another_digest(tmp_path: Path) -> None:
    for name in code.SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    same = code.digest_code(tmp_path)
    assert same == code.digest_code()
    code.digest_code.cache_clear()
    sampler = tmp_path / "engines/builtin/samplers.py"
    sampler.write_bytes(sampler.read_bytes().replace(b"(slope + end)", b"(end + slope)"))
    assert code.digest_code(tmp_path) != same
    code.digest_code.cache_clear()
    sampler.unlink()
    assert "not known" in code.digest_code(tmp_path)


def test_clients_of_the_server_may_name_a_revision_or_none() -> None:
    service = GenerationService(BuiltinEngine(1))
    for name in (MODEL, "safelight-128-v1@3", "builtin"):
        assert service.models[name] == "safelight-128-v1@3"
    for name in (UPSCALE_MODEL, "safelight-upscale-x2@1"):
        assert service.models[name] == "safelight-upscale-x2@1"
    assert "safelight-128-v1@2" not in service.models
    assert service.offered == (MODEL, UPSCALE_MODEL), "the list stays as clients know it"


def test_changed_code_is_named_where_the_pixels_differ() -> None:
    then, now = (
        EnvironmentRecord(values={"engine revision": "3", "code": code})
        for code in ("1" * 64, "2" * 64)
    )
    facts: dict[str, Any] = {
        "pixels_then": "a",
        "stages_then": (),
        "stages_now": (),
        "environment_then": then,
        "environment_now": now,
        "psnr_db": 30.0,
    }
    assert f"code: {'1' * 64} → {'2' * 64}" in compare(pixels_now="b", **facts).detail
    assert "code" not in compare(pixels_now="a", **facts).detail
