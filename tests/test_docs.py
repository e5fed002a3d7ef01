"""The two guides name what exists, and the engine that they show works."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from pathlib import Path

import pytest
from textual.app import App
from textual.screen import Screen

from tests.engines.test_installed import install
from tests.journeys.program import Program

ROOT = Path(__file__).parents[1]
GUIDES = {
    name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("architecture", "contributing")
}
FLOORS = ("tui", "engines", "store")
FILE = r"[\w./-]+(?:\.(?:py|tcss|toml|md|sqlite3)|/)"

PLANTED = {"store/migrations/m0013_moods.py", "safelight_solid.py"}
"""Files that a recipe adds."""

MADE = {"config.toml", "live.sqlite3", "history.sqlite3"}
"""Files of a person, not of the repository."""

ANCESTORS = (App, Screen)
"""Whose methods we use as if they were ours."""

ABROAD = ("textual.app", "textual.binding", "textual.screen", "textual.widgets")
"""Where classes come from that the guides name and we do not define."""


def list_names() -> tuple[set[str], set[str]]:
    """All classes and functions of the product; methods as `Class.method`, inherited ones too."""
    classes: defaultdict[str, list[ast.ClassDef]] = defaultdict(list)
    names = set()
    for floor in FLOORS:
        for path in (ROOT / floor).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    classes[node.name].append(node)
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    names.add(node.name)
    members = set()

    def add(name: str, node: ast.ClassDef) -> None:
        for part in node.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                members.add(f"{name}.{part.name}")
            elif isinstance(part, ast.AnnAssign):
                members.add(f"{name}.{ast.unparse(part.target)}")
        for base in node.bases:
            for above in classes.get(ast.unparse(base).partition("[")[0], ()):
                add(name, above)

    for name, nodes in classes.items():
        for node in nodes:
            add(name, node)
    return names, members | classes.keys()


def strip_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)


def list_quoted(guide: str) -> list[str]:
    quoted = re.findall(r"`([^`\n]+)`", strip_blocks(GUIDES[guide]))
    return [each for each in quoted if each not in PLANTED]


@pytest.mark.parametrize("guide", GUIDES)
def test_the_files_that_are_named_exist(guide: str) -> None:
    paths = [each for each in list_quoted(guide) if re.fullmatch(FILE, each)]
    missing = [
        path
        for path in paths
        if not (ROOT / path).exists()
        and not any(found for floor in FLOORS for found in (ROOT / floor).rglob(path.rstrip("/")))
    ]
    assert set(missing) <= MADE
    assert len(paths) > 20


@pytest.mark.parametrize("guide", GUIDES)
def test_the_functions_and_classes_that_are_named_exist(guide: str) -> None:
    names, members = list_names()
    abroad = [importlib.import_module(name) for name in ABROAD]
    missing = []
    quoted = list_quoted(guide)
    for each in quoted:
        if match := re.fullmatch(r"(\w+)\(\)", each):
            is_there = match[1] in names or any(hasattr(each, match[1]) for each in ANCESTORS)
        elif match := re.fullmatch(r"([A-Z]\w*[a-z]\w*(?:\.\w+)?)(?:\(\))?", each):
            first, _, rest = match[1].partition(".")
            classes = [getattr(module, first, None) for module in abroad]
            is_there = match[1] in members or any(
                found is not None and (not rest or hasattr(found, rest)) for found in classes
            )
        else:
            continue
        if not is_there:
            missing.append(each)
    assert missing == []
    assert len([each for each in quoted if each.endswith("()")]) >= 5


def test_the_engine_that_is_shown_makes_and_verifies_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    match = re.search(
        r"^<!-- engine -->\n```python\n(.*?)^```$", GUIDES["contributing"], re.DOTALL | re.MULTILINE
    )
    assert match is not None
    packages = tmp_path / "packages"
    packages.mkdir()
    install(packages, "solid", "safelight_solid", match[1])
    home = tmp_path / "home"
    (home / "safelight").mkdir(parents=True)
    (home / "safelight" / "config.toml").write_text("[solid]\nsaturation = 1.0\n")
    program = Program(home, PYTHONPATH=str(packages))
    try:
        made = program.run("generate", "anything", "-S", "120", "-e", "solid", "-o", str(tmp_path))
        assert "A solid colour shows nothing of the prompts." in made.stderr
        assert "identical" in program.run("verify", "@1").stdout
    finally:
        program.end_worker()
    from PIL import Image

    assert Image.open(tmp_path / "120.png").getpixel((0, 0)) == (0, 204, 0)
