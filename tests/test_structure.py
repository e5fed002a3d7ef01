"""The rules of the house that a machine can hold, read off the source text of each floor.

* No ring of imports inside a floor. Imports for types and inside functions count; that imports
  between floors only run down is import-linter's contract.
* A base class has two children or is used as itself.
* No stub methods.
* A constructor takes at most one callable.
* A basename occurs once a floor.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

PRODUCT = ("tui", "engines", "store")
PARALLEL = {
    "screen.py",
    "engine.py",
    "models.py",
    "messages.py",
    "answers.py",
    "__init__.py",
    "__main__.py",
}
"""Files of which each screen, engine or package has its own."""

LOOKUPS = {"isinstance", "issubclass", "super", "cast", "TypeVar", "NewType", "getters"}
"""Calls that are given a class and make none of it; so are those that begin with `query`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """One file: its dotted name, where it is, its syntax tree, and whether it is a package."""

    name: str
    path: Path
    tree: ast.Module
    is_package: bool

    @property
    def floor(self) -> str:
        """The floor that it belongs to."""
        return self.name.partition(".")[0]


class Class(NamedTuple):
    """A class of the product, named `module:Class` or `module:Outer.Inner`."""

    name: str
    module: Module
    node: ast.ClassDef


class Product:
    """The syntax trees of all floors below `root`, and what the names in them stand for.

    A name is given as `module:Name` when the product defines it, as a dotted name when it comes
    from elsewhere.
    """

    def __init__(self, root: Path) -> None:
        self.modules: dict[str, Module] = {}
        for floor in PRODUCT:
            for path in sorted((root / floor).rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                is_package = parts[-1] == "__init__"
                name = ".".join(parts[:-1] if is_package else parts)
                tree = ast.parse(path.read_text("utf-8"), str(path))
                self.modules[name] = Module(name, path.relative_to(root), tree, is_package)
        self.classes = {
            found.name: found
            for module in self.modules.values()
            for found in _walk_classes(module, module.tree.body, "")
        }
        self._bindings = {name: self._bind(module) for name, module in self.modules.items()}
        self.bases = {
            name: [self.resolve(found.module, base) for base in found.node.bases]
            for name, found in self.classes.items()
        }

    def list_imports(self, module: Module) -> set[str]:
        """The modules of the product that `module` imports, at any place in it."""
        found = set()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                source = _find_source(module, node)
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    found.add(inner if inner in self.modules else source)
        return found & self.modules.keys()

    def resolve(self, module: Module, node: ast.expr) -> str:
        """What an expression that names a class or a type stands for, "" when it names none."""
        if isinstance(node, ast.Subscript):
            return self.resolve(module, node.value)
        if isinstance(node, ast.Name):
            return self._follow(self._bindings[module.name].get(node.id, node.id))
        if isinstance(node, ast.Attribute):
            owner = self.resolve(module, node.value)
            if owner in self.modules:
                return self._follow(f"{owner}:{node.attr}")
            return f"{owner}.{node.attr}"
        return ""

    def derives_from(self, name: str, wanted: Callable[[str], bool]) -> bool:
        """Whether `wanted` holds for a base of the class, or a base of its bases."""
        return any(
            wanted(base) or self.derives_from(base, wanted) for base in self.bases.get(name, ())
        )

    def get_alias(self, name: str) -> tuple[Module, ast.expr] | None:
        """The module and value of an assignment at a module's top level, by `module:Name`."""
        owner, _, own = name.partition(":")
        module = self.modules.get(owner)
        for node in module.tree.body if module and own else ():
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                targets: list[ast.expr] = [node.target]
            elif isinstance(node, ast.Assign):
                targets = node.targets
            else:
                continue
            if any(isinstance(target, ast.Name) and target.id == own for target in targets):
                assert module is not None
                assert node.value is not None
                return module, node.value
        return None

    def _bind(self, module: Module) -> dict[str, str]:
        bindings = {}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    bindings[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                source = _find_source(module, node)
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    is_ours = source in self.modules and inner not in self.modules
                    bindings[alias.asname or alias.name] = (
                        f"{source}:{alias.name}" if is_ours else inner
                    )
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and f"{module.name}:{node.name}" in self.classes:
                bindings[node.name] = f"{module.name}:{node.name}"
        for node in module.tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        bindings[target.id] = f"{module.name}:{target.id}"
        return bindings

    def _follow(self, name: str) -> str:
        """Through modules that only hand a name on."""
        for _ in range(8):
            owner, _, own = name.partition(":")
            if not own or name in self.classes or owner not in self._bindings:
                break
            name, last = self._bindings[owner].get(own, name), name
            if name == last:
                break
        return name


def _walk_classes(module: Module, body: list[ast.stmt], outer: str) -> Iterator[Class]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield Class(f"{module.name}:{outer}{node.name}", module, node)
            yield from _walk_classes(module, node.body, f"{outer}{node.name}.")
        else:
            inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            yield from _walk_classes(module, inner, outer)


def _find_source(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    drop = node.level - 1 if module.is_package else node.level
    parts = module.name.split(".")
    return ".".join([*parts[: len(parts) - drop], *filter(None, [node.module])])


# Rings


def find_rings(product: Product, floor: str) -> list[str]:
    """One ring of imports for each knot of modules that reach each other."""
    graph = {
        name: {other for other in product.list_imports(module) if _is_on(other, floor)} - {name}
        for name, module in product.modules.items()
        if module.floor == floor
    }
    rings = []
    left = set(graph)
    for start in sorted(graph):
        if start in left and (ring := _find_ring(graph, start)):
            rings.append(" -> ".join(ring))
            reached = _reach(graph, start)
            left -= {name for name in reached if start in _reach(graph, name)}
    return rings


def _is_on(name: str, floor: str) -> bool:
    return name == floor or name.startswith(f"{floor}.")


def _find_ring(graph: dict[str, set[str]], start: str) -> list[str]:
    """The shortest way from `start` back to itself, empty when there is none."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for name in sorted(graph[way[-1]]):
            if name == start:
                return [*way, start]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def _reach(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    left = [start]
    while left:
        for name in graph[left.pop()] - found:
            found.add(name)
            left.append(name)
    return found


# Basenames


def find_twins(product: Product, floor: str) -> list[str]:
    """Basenames that several files of a floor have."""
    paths = defaultdict(list)
    for module in product.modules.values():
        if module.floor == floor and module.path.name not in PARALLEL:
            paths[module.path.name].append(module.path.as_posix())
    return [", ".join(same) for same in paths.values() if len(same) > 1]


# Base classes


def find_only_children(product: Product, floor: str) -> list[str]:
    """Classes that have one child in the product and are not used as themselves.

    Protocols, exceptions and what `typing` makes of a class are no base classes in this sense.
    """
    children = defaultdict(list)
    for name, bases in product.bases.items():
        for base in bases:
            children[base].append(name)
    return [
        f"{name} has the one child {same[0]}"
        for name, same in sorted(children.items())
        if len(same) == 1
        and name in product.classes
        and product.classes[name].module.floor == floor
        and not product.derives_from(name, _is_exempt_base)
        and name not in find_made(product)
    ]


def _is_exempt_base(base: str) -> bool:
    last = base.rpartition(".")[2]
    known = getattr(builtins, base, None)
    is_error = isinstance(known, type) and issubclass(known, BaseException)
    return is_error or last in ("Protocol", "NamedTuple", "TypedDict")


@cache
def find_made(product: Product) -> frozenset[str]:
    """The classes of which the product makes instances, as far as the text says so.

    By calling the class or a method on it, or by handing it on as a value.
    """
    made = set()
    for module in product.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                called = node.func
                itself = product.resolve(module, called)
                made.add(itself)
                # `Outer.Inner()` makes no `Outer`, and `Base.__init__(self)` no other `Base`.
                if (
                    isinstance(called, ast.Attribute)
                    and itself not in product.classes
                    and not called.attr.startswith("__")
                ):
                    made.add(product.resolve(module, called.value))
                name = called.attr if isinstance(called, ast.Attribute) else ""
                name = called.id if isinstance(called, ast.Name) else name
                if name not in LOOKUPS and not name.startswith(("query", "get_")):
                    values = [*node.args, *(keyword.value for keyword in node.keywords)]
                    made |= {product.resolve(module, value) for value in values}
            elif isinstance(node, ast.Tuple | ast.List | ast.Set):
                made |= {product.resolve(module, value) for value in node.elts}
            elif isinstance(node, ast.Dict):
                made |= {product.resolve(module, value) for value in node.values}
            elif isinstance(node, ast.Assign | ast.Return) and node.value is not None:
                made.add(product.resolve(module, node.value))
    return frozenset(made & product.classes.keys())


# Stubs


def find_stubs(product: Product, floor: str) -> list[str]:
    """Methods that do nothing or only refuse, in classes that are no protocols."""
    return [
        f"{name}.{node.name}"
        for name, found in product.classes.items()
        if found.module.floor == floor
        and not any(base.endswith(".Protocol") for base in product.bases[name])
        for node in found.node.body
        if isinstance(node, Function) and _is_stub(node)
    ]


def _is_stub(node: Function) -> bool:
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return "overload" not in decorators and all(_says_nothing(line) for line in node.body)


def _says_nothing(line: ast.stmt) -> bool:
    if isinstance(line, ast.Raise) and line.exc is not None:
        error = line.exc.func if isinstance(line.exc, ast.Call) else line.exc
        return isinstance(error, ast.Name) and error.id == "NotImplementedError"
    is_constant = isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
    return is_constant or isinstance(line, ast.Pass)


# Callables


def find_callables(product: Product, floor: str) -> list[str]:
    """Constructors that take more than one callable, and which."""
    found = []
    for name, owner in product.classes.items():
        if owner.module.floor == floor:
            taken = _list_callables(product, name)
            if len(taken) > 1:
                found.append(f"{name} takes {', '.join(taken)}")
    return found


def _list_callables(product: Product, name: str) -> list[str]:
    owner = product.classes[name]
    for node in owner.node.body:
        if isinstance(node, Function) and node.name == "__init__":
            taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            return [
                argument.arg
                for argument in taken
                if argument.annotation and _is_callable(product, owner.module, argument.annotation)
            ]
    if not _has_fields(product, name):
        return []
    inherited = [
        field
        for base in product.bases[name]
        if base in product.classes
        for field in _list_callables(product, base)
    ]
    own = [
        ast.unparse(node.target)
        for node in owner.node.body
        if isinstance(node, ast.AnnAssign)
        and not ast.unparse(node.annotation).startswith(("ClassVar", "typing.ClassVar"))
        and _is_callable(product, owner.module, node.annotation)
    ]
    return [*inherited, *own]


def _has_fields(product: Product, name: str) -> bool:
    """Whether the class gets its constructor from its fields."""
    decorators = [ast.unparse(node) for node in product.classes[name].node.decorator_list]
    return any("dataclass" in decorator for decorator in decorators) or product.derives_from(
        name, lambda base: base.rpartition(".")[2] in ("Struct", "NamedTuple")
    )


def _is_callable(product: Product, module: Module, annotation: ast.expr) -> bool:
    """Whether a callable fits the annotation: itself, in a union, or under another name."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _is_callable(product, module, ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.BinOp):
        sides = (annotation.left, annotation.right)
        return any(_is_callable(product, module, side) for side in sides)
    name = product.resolve(module, annotation)
    if isinstance(annotation, ast.Subscript) and name.rpartition(".")[2] in ("Optional", "Union"):
        inner = annotation.slice
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        return any(_is_callable(product, module, part) for part in parts)
    if name in product.classes:
        methods = product.classes[name].node.body
        is_protocol = product.derives_from(name, lambda base: base.endswith(".Protocol"))
        return is_protocol and any(
            isinstance(node, Function) and node.name == "__call__" for node in methods
        )
    if alias := product.get_alias(name):
        return _is_callable(product, *alias)
    return name.rpartition(".")[2] == "Callable"


CHECKS = (find_rings, find_twins, find_only_children, find_stubs, find_callables)


@pytest.fixture(scope="module")
def product() -> Product:
    return Product(ROOT)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("floor", PRODUCT)
def test_the_floor_keeps_the_rule(
    product: Product, floor: str, check: Callable[[Product, str], list[str]]
) -> None:
    assert check(product, floor) == []


# That each rule can be broken


def plant(root: Path, **files: str) -> Product:
    """A product whose `store` holds these modules; `a__b` stands for `a/b`."""
    for name, text in files.items():
        path = root / "store" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Product(root)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("import store.other\n", "from store.one import x\n"),
        ("from store import other\n", "from .one import x\n"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from store.other import X\n",
            "import store.one as one\n",
        ),
        ("def f():\n    from store import other\n", "from store import one\n"),
        ("from store.third import x\n", "from store import one\n"),
    ],
)
def test_a_ring_of_imports_is_found(tmp_path: Path, one: str, other: str) -> None:
    planted = plant(tmp_path, one=one, other=other, third="import store.other\n", four="")
    [ring] = find_rings(planted, "store")
    assert ring.split(" -> ")[0] == ring.split(" -> ")[-1] == "store.one"
    assert "store.other" in ring


def test_imports_that_only_run_down_are_no_ring(tmp_path: Path) -> None:
    planted = plant(
        tmp_path,
        one="from store import other, third\nimport engines\n",
        other="from store.third import x\n",
        third="import json\n",
        parts____init__="from store.parts import first\n",
        parts__first="",
    )
    assert find_rings(planted, "store") == []


def test_a_basename_that_occurs_twice_is_found(tmp_path: Path) -> None:
    planted = plant(tmp_path, a__one="", b__one="", a__engine="", b__engine="", c="")
    assert find_twins(planted, "store") == ["store/a/one.py, store/b/one.py"]


LADDER = "class Base:\n    class Changed:\n        x = 1\n"


@pytest.mark.parametrize(
    "child",
    [
        "from store.base import Base\nclass Child(Base): x = 2\n",
        "from store.base import Base as Other\nclass Child(Other): x = 2\n",
        "from store import base\nclass Child(base.Base): x = 2\n",
        "import store.base\nclass Child(store.base.Base): x = 2\n",
        "from store.hand_on import Base\nclass Child(Base): x = 2\n",
        "from store.base import Base\nclass Child(Base):\n"
        "    def f(self, other: Base) -> Base:\n"
        "        return isinstance(other, Base) and self.query_one(Base)\n",
        "from store.base import Base\nclass Child(Base):\n"
        "    def __init__(self):\n"
        "        Base.__init__(self)\n"
        "        self.post_message(Base.Changed())\n",
    ],
)
def test_a_base_class_with_one_child_is_found(tmp_path: Path, child: str) -> None:
    planted = plant(tmp_path, base=LADDER, child=child, hand_on="from store.base import Base\n")
    found = find_only_children(planted, "store")
    assert found == ["store.base:Base has the one child store.child:Child"]


def test_each_rung_of_a_ladder_is_found(tmp_path: Path) -> None:
    ladder = "class A: x = 1\nclass B(A): x = 2\nclass C(B): x = 3\nclass D(B): x = 4\nC(), D()\n"
    found = find_only_children(plant(tmp_path, ladder=ladder), "store")
    assert found == ["store.ladder:A has the one child store.ladder:B"]


@pytest.mark.parametrize(
    "rest",
    [
        "class Child(Base): x = 2\nclass Other(Base): x = 3\n",
        "class Child(Base): x = 2\nBase()\n",
        "class Child(Base): x = 2\nBase.open()\n",
        "class Child(Base): x = 2\nKINDS = {'base': Base, 'child': Child}\n",
        "class Child(Base): x = 2\ndecode(b'', type=Base)\n",
        "class Wrong(ValueError): x = 2\nclass VeryWrong(Wrong): x = 3\n",
        "from typing import Protocol\nclass Named(Protocol): x: int\nclass Child(Named): x = 2\n",
    ],
)
def test_a_base_class_that_has_its_reason_is_not_named(tmp_path: Path, rest: str) -> None:
    assert find_only_children(plant(tmp_path, base=LADDER + rest), "store") == []


@pytest.mark.parametrize(
    "body", ["...", "pass", "'''What it would do.'''", "raise NotImplementedError('later')"]
)
def test_a_stub_is_found(tmp_path: Path, body: str) -> None:
    text = f"class A:\n    async def f(self):\n        '''It.'''\n        {body}\n"
    assert find_stubs(plant(tmp_path, a=text), "store") == ["store.a:A.f"]


def test_a_protocol_an_overload_and_a_method_that_does_something_are_no_stubs(
    tmp_path: Path,
) -> None:
    text = (
        "from typing import Protocol, overload\n"
        "class P(Protocol):\n    def f(self) -> int: ...\n"
        "class A:\n    @overload\n    def f(self) -> int: ...\n    def f(self): return None\n"
    )
    assert find_stubs(plant(tmp_path, a=text), "store") == []


IMPORTS = """
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Optional, Protocol
import msgspec

Say = Callable[[str], None]

class Refresh(Protocol):
    def __call__(self) -> None: ...
"""


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    def __init__(self, say: Callable[[str], None], *, go: Say | None): ...\n",
        "class A:\n    def __init__(self, say: 'Say', go: Optional[Refresh] = None): ...\n",
        "@dataclass(frozen=True)\nclass A:\n    say: Say\n    go: Refresh\n",
        "class A(msgspec.Struct, frozen=True):\n    say: Say\n    name: str\n    go: Callable\n",
        "class A(NamedTuple):\n    say: Say\n    go: Say\n",
    ],
)
def test_a_constructor_with_two_callables_is_found(tmp_path: Path, text: str) -> None:
    planted = plant(tmp_path, a=IMPORTS + text)
    assert find_callables(planted, "store") == ["store.a:A takes say, go"]


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    def __init__(self, say: Say, names: list[str]): ...\n",
        "class A:\n    def f(self, say: Say, go: Say): ...\n",
        "class A:\n    say: Say\n    go: Say\n",
        "class A(msgspec.Struct):\n    say: Say\n    name: str\n",
    ],
)
def test_a_constructor_with_one_callable_is_not_named(tmp_path: Path, text: str) -> None:
    assert find_callables(plant(tmp_path, a=IMPORTS + text), "store") == []
