"""Ancestors, children and trees of images: by index, bounded, and safe in a ring."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import lineage, queue
from store.database import Database
from store.errors import NotFound
from store.lineage import Branch
from store.records import Image, Relation
from tests.factories import make_request, make_result
from tests.store.helpers import execute, make_images, start


def make_child(db: Database, parent: Image | None, seed: int = 1) -> Image:
    token = start(db)
    queue.enqueue(
        db,
        [make_request("night", seed=seed)],
        parent_id=None if parent is None else parent.id,
        relation=None if parent is None else Relation.VARIATION,
    )
    job = queue.claim(db, token)
    assert job is not None
    return queue.finish(db, job, token, make_result(seed=seed))


def make_line(db: Database, count: int) -> list[Image]:
    """`count` images, each from the one before."""
    line: list[Image] = []
    for number in range(count):
        line.append(make_child(db, line[-1] if line else None, number + 1))
    return line


def draw(branch: Branch) -> object:
    """The numbers of a tree."""
    return (branch.image.number, [draw(child) for child in branch.children], branch.more)


def test_ancestors_are_named_up_to_the_first_of_the_line(db: Database) -> None:
    line = make_line(db, 5)
    found = lineage.find_ancestors(db, line[-1].id[:8])
    assert [image.id for image in found.images] == [image.id for image in line[-2::-1]]
    assert (found.has_more, found.missing, found.is_ring) == (False, None, False)
    cut = lineage.find_ancestors(db, "@1", 2)
    assert [image.number for image in cut.images] == [4, 3]
    assert cut.has_more
    assert lineage.find_ancestors(db, line[0].id).images == ()
    with pytest.raises(NotFound):
        lineage.find_ancestors(db, "@9")


def test_children_come_in_pages_and_are_counted(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root,) = make_line(db, 1)
    children = [make_child(db, root, seed) for seed in range(1, 8)]
    first = lineage.list_children(db, root.id, limit=4)
    assert [image.id for image in first] == [image.id for image in children[:4]]
    rest = lineage.list_children(db, root.id, first[-1].number)
    assert [image.id for image in rest] == [image.id for image in children[4:]]
    assert lineage.count_children(db, [root.id, first[0].id]) == {root.id: 7, first[0].id: 0}
    monkeypatch.setattr(lineage, "COUNTED_MAXIMUM", 5)
    assert lineage.count_children(db, [root.id]) == {root.id: 5}


def test_a_tree_is_bounded_in_depth_in_breadth_and_in_all(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_line(db, 4)
    make_child(db, line[1], 50)
    make_child(db, line[1], 51)
    assert draw(lineage.read_tree(db, line[0].id, depth=20, breadth=20)) == (
        1,
        [(2, [(3, [(4, [], 0)], 0), (5, [], 0), (6, [], 0)], 0)],
        0,
    )
    assert draw(lineage.read_tree(db, line[0].id, depth=2, breadth=2)) == (
        1,
        [(2, [(3, [], 1), (5, [], 0)], 1)],
        0,
    )
    monkeypatch.setattr(lineage, "BRANCHES_MAXIMUM", 3)
    assert draw(lineage.read_tree(db, line[0].id, depth=20, breadth=20)) == (
        1,
        [(2, [(3, [], 1)], 2)],
        0,
    )


def test_a_ring_and_a_parent_that_is_gone_are_told(db: Database, tmp_path: Path) -> None:
    line = make_line(db, 3)
    execute(
        db.vault.directory, "UPDATE image SET parent_id = ? WHERE id = ?", line[2].id, line[0].id
    )
    found = lineage.find_ancestors(db, line[2].id)
    assert [image.number for image in found.images] == [2, 1]
    assert found.is_ring
    tree = lineage.read_tree(db, line[0].id, depth=20, breadth=20)
    assert draw(tree) == (1, [(2, [(3, [(1, [], 0)], 0)], 0)], 0)
    again = tree.children[0].children[0].children[0]
    assert again.is_again
    execute(
        db.vault.directory, "UPDATE image SET parent_id = ? WHERE id = ?", "ab" * 16, line[0].id
    )
    assert lineage.find_ancestors(db, line[1].id).missing == "ab" * 16


def test_images_and_what_they_were_imported_from_are_found_by_many(db: Database) -> None:
    images = make_images(db, [make_request(seed=seed) for seed in range(1, 4)])
    ids = [image.id for image in images]
    assert {image.id for image in lineage.list_by_id(db, [*ids, "ff" * 16])} == set(ids)
    execute(
        db.vault.directory,
        "INSERT INTO imported VALUES (?, 'a1111', 'mapped', 'text', '[]', 'cat.png', NULL)",
        images[1].number,
    )
    execute(
        db.vault.directory,
        "UPDATE image SET purpose = 'import' WHERE number = ?",
        images[1].number,
    )
    (origin,) = filter(None, (image.imported for image in lineage.list_by_id(db, ids)))
    assert (origin.file_name, origin.dialect) == ("cat.png", "a1111")


def test_children_are_found_by_index(db: Database) -> None:
    wanted = "parent_id = ? AND number > ? ORDER BY number LIMIT 5"
    statement = f"SELECT number FROM image WHERE {wanted}"
    (plan,) = execute(db.vault.directory, f"EXPLAIN QUERY PLAN {statement}", "a", 0)
    assert "USING COVERING INDEX ix_image_parent_id" in plan[-1]
