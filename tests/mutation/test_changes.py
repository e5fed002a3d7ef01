"""Which changes are found, drawn and tried on which tests."""

from __future__ import annotations

from pathlib import Path

from tests.mutation.__main__ import draw
from tests.mutation.areas import AREAS, Area
from tests.mutation.changes import is_program, list_changes
from tests.mutation.reach import Reach

ROOT = Path(__file__).parents[2]
SOURCE = '''"""Words."""
import logging

LIMIT = 3


def work(count: int, *, deep: bool = False) -> int:
    """More words."""
    logging.info("é %s", count)
    if count > LIMIT and not deep:
        raise ValueError(count)
    try:
        save(count, name="x")
    except OSError:
        return 0
    return count + 1
'''


def test_each_place_that_a_person_could_get_wrong_is_changed(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(SOURCE)
    changes = list_changes(tmp_path, "one.py")
    found = {(each.kind, each.before.strip(), each.after.strip()) for each in changes}
    assert found == {
        ("another constant", "3", "4"),
        ("another constant", "False", "True"),
        ("condition negated", "count > LIMIT and not deep", "(not (count > LIMIT and not deep))"),
        ("or instead of and", "and", "or"),
        ("part of a condition left out", "count > LIMIT and not deep", "((not deep))"),
        ("part of a condition left out", "count > LIMIT and not deep", "((count > LIMIT))"),
        ("another comparison", ">", ">="),
        ("not left out", "not deep", "deep"),
        ("statement dropped", "raise ValueError(count)", "pass"),
        ("statement dropped", 'save(count, name="x")', "pass"),
        ("argument left out", 'name="x"', ""),
        ("handler raises again", "return 0", "raise"),
        ("nothing returned", "return 0", "return None"),
        ("another constant", "0", "1"),
        ("nothing returned", "return count + 1", "return None"),
        ("another sum", "+", "-"),
        ("another constant", "1", "2"),
    }
    source = (tmp_path / "one.py").read_bytes()
    for change in changes:
        assert is_program(tmp_path, change)
        assert change.apply(source) != source
        assert change.where in ("work", "the module")
        first, last = change.lines
        text = "\n".join(SOURCE.splitlines()[first - 1 : last])
        assert change.before.split("\n")[0].strip() in text


def test_a_seed_draws_the_same_changes_again_from_every_area() -> None:
    areas = [area for area in AREAS if area.name in ("budget", "filter", "verify")]
    one, again, other = draw(7, 30, areas), draw(7, 30, areas), draw(8, 30, areas)
    assert one == again
    assert one != other
    assert [sum(area.name == name for area, _ in one) for name in ("budget", "filter")] == [10, 10]
    assert len({change.name for _, change in one}) == len(one) == 30


def test_every_source_and_every_test_of_an_area_is_there() -> None:
    def check(area: Area) -> None:
        for path in (*area.sources, *area.tests, *area.programs):
            assert (ROOT / path).exists(), path

    for area in AREAS:
        check(area)
    assert len({path for area in AREAS for path in area.sources}) == sum(
        len(area.sources) for area in AREAS
    )


def test_the_nearest_tests_come_first_and_then_the_quickest() -> None:
    tests = ["tests/a/test_far.py::slow", "tests/a/test_far.py::quick", "tests/a/test_one.py::own"]
    reach = Reach(tests, [3.0, 0.1, 2.0], {"a/one.py": {1: [], 5: [0, 1, 2], 9: [0]}})
    assert reach.find("a/one.py", (4, 6)) == [tests[2], tests[1], tests[0]]
    assert reach.find("a/one.py", (8, 9)) == [tests[0]]
    # What runs at import belongs to all tests of the file, what nothing runs to none.
    assert reach.find("a/one.py", (1, 1)) == [tests[2], tests[1], tests[0]]
    assert reach.find("a/one.py", (20, 30)) == []
