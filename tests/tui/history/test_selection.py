from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.history.selection import NumberSet, Selection


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300))))
def test_a_set_of_numbers_is_as_a_set(changes: list[tuple[bool, int]]) -> None:
    plain: set[int] = set()
    numbers = NumberSet()
    for adds, number in changes:
        (plain.add if adds else plain.discard)(number)
        (numbers.add if adds else numbers.discard)(number)
    assert list(numbers) == sorted(plain, reverse=True)
    assert len(numbers) == len(plain)
    assert all((number in numbers) == (number in plain) for number in range(302))


def test_all_but_some_are_marked_and_what_came_later_is_not() -> None:
    selection = Selection()
    selection.mark_all(found=10, newest=20)
    selection.set([3, 4, 21], is_marked=False)
    selection.set([3], is_marked=True)
    assert len(selection) == 9
    assert 3 in selection
    assert 4 not in selection
    assert 20 in selection
    assert 21 not in selection
    kept = selection.copy()
    selection.clear()
    assert not selection
    assert 20 in kept
    selection.set([5, 6], is_marked=True)
    assert (len(selection), selection.is_all, 5 in selection, 7 in selection) == (
        *(2, False),
        *(True, False),
    )
