"""The changes that can be made to a source: one place each, small enough to be overlooked.

They are those that people make by mistake: a condition negated, a comparison off by one, a
statement or an argument left out, another constant, an early end. The tools that are kept for this
(mutmut, cosmic-ray) leave out neither statements nor arguments, which are most of what tests miss.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
_SUMS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_SAID = ("help", "metavar")
"""Arguments that are words for people."""

_LOGS = ("log", "logging", "logger", "_log", "warnings")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Span = tuple[int, int]


class Change(NamedTuple):
    """`before` at the bytes `start` to `end` of a file becomes `after`.

    `lines` are the first and the last line of the statement that it is in, `where` the function.
    """

    path: str
    where: str
    lines: Span
    kind: str
    start: int
    end: int
    before: str
    after: str

    @property
    def name(self) -> str:
        """What stands for it in a record: the same for the same text."""
        return f"{self.path}:{self.start}-{self.end}:{self.after}"

    def apply(self, source: bytes) -> bytes:
        """`source` with the change made."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def list_changes(root: Path, path: str) -> list[Change]:
    """All changes that can be made to `path`; some may make no program: see `is_program`."""
    return list(_Finder(path, (root / path).read_bytes()).find())


def is_program(root: Path, change: Change) -> bool:
    """Whether the changed file can still be read as Python."""
    try:
        compile(change.apply((root / change.path).read_bytes()), change.path, "exec")
    except (SyntaxError, ValueError):
        return False
    return True


class _Finder:
    """Walks through one file."""

    def __init__(self, path: str, source: bytes) -> None:
        self._path = path
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._where: list[str] = []
        self._lines = (1, 1)

    def find(self) -> Iterator[Change]:
        """All changes, in the order of the text."""
        yield from self._walk_body(ast.parse(self._source).body)

    def _walk_body(self, body: list[ast.stmt]) -> Iterator[Change]:
        for node in body:
            yield from self._walk_statement(node)

    def _walk_statement(self, node: ast.stmt) -> Iterator[Change]:
        if isinstance(node, Function | ast.ClassDef):
            self._where.append(node.name)
            if isinstance(node, Function):
                self._lines = (node.lineno, node.body[0].lineno - 1)
                for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                    yield from self._walk_expression(default)
            yield from self._walk_body(node.body)
            self._where.pop()
            return
        if _is_passed_over(node):
            return
        before = self._lines
        self._lines = (node.lineno, _find_head_end(node))
        yield from self._drop(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                if not (isinstance(node, ast.AnnAssign) and child is node.annotation):
                    yield from self._walk_expression(child, is_test=_is_test(node, child))
            elif isinstance(child, ast.withitem):
                yield from self._walk_expression(child.context_expr)
        yield from self._walk_blocks(node)
        self._lines = before

    def _walk_blocks(self, node: ast.stmt) -> Iterator[Change]:
        for name in ("body", "orelse", "finalbody"):
            yield from self._walk_body(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            self._lines = (handler.lineno, handler.body[-1].end_lineno or handler.lineno)
            first, last = handler.body[0], handler.body[-1]
            if not isinstance(first, ast.Raise):
                span = (self._span(first)[0], self._span(last)[1])
                yield self._make("handler raises again", span, "raise")
            yield from self._walk_body(handler.body)
        for case in getattr(node, "cases", []):
            yield from self._walk_body(case.body)

    def _drop(self, node: ast.stmt) -> Iterator[Change]:
        """The statement left out, or its value not given back."""
        span = self._span(node)
        if isinstance(node, ast.Return):
            if node.value is not None and not _is_nothing(node.value):
                yield self._make("nothing returned", span, "return None")
        elif isinstance(node, ast.Continue):
            yield self._make("break instead of continue", span, "break")
        elif isinstance(node, ast.Assign):
            if all(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets):
                yield self._make("statement dropped", span, "pass")
        elif isinstance(node, ast.Expr | ast.AugAssign | ast.Raise | ast.Break | ast.Delete):
            yield self._make("statement dropped", span, "pass")

    def _walk_expression(self, node: ast.expr, *, is_test: bool = False) -> Iterator[Change]:
        text = self._text(self._span(node))
        if is_test:
            yield self._make("condition negated", self._span(node), f"(not ({text}))")
        if isinstance(node, ast.Compare):
            yield from self._swap_comparison(node)
        elif isinstance(node, ast.BoolOp):
            yield from self._change_logic(node)
        elif isinstance(node, ast.BinOp) and type(node.op) in _SUMS:
            sign, other = _SUMS[type(node.op)]
            yield from self._swap(node.left, node.right, sign, other, "another sum")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and not is_test:
            yield self._make("not left out", self._span(node), self._text(self._span(node.operand)))
        elif isinstance(node, ast.Constant):
            yield from self._change_constant(node)
        elif isinstance(node, ast.Call):
            yield from self._drop_keywords(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                is_condition = isinstance(node, ast.IfExp) and child is node.test
                yield from self._walk_expression(child, is_test=is_condition)
            elif isinstance(child, ast.comprehension):
                yield from self._walk_expression(child.iter)
                for condition in child.ifs:
                    yield from self._walk_expression(condition, is_test=True)
            elif isinstance(child, ast.keyword):
                yield from self._walk_expression(child.value)

    def _swap_comparison(self, node: ast.Compare) -> Iterator[Change]:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            sign, other = _COMPARISONS[type(operator)]
            yield from self._swap(left, right, sign, other, "another comparison")
            left = right

    def _swap(
        self, left: ast.expr, right: ast.expr, sign: str, other: str, kind: str
    ) -> Iterator[Change]:
        start, end = self._span(left)[1], self._span(right)[0]
        between = self._text((start, end))
        if between.count(sign) == 1:
            yield self._make(kind, (start, end), between.replace(sign, other))

    def _change_logic(self, node: ast.BoolOp) -> Iterator[Change]:
        sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from self._swap(left, right, sign, other, f"{other} instead of {sign}")
        for left_out in range(len(node.values)):
            rest = [each for place, each in enumerate(node.values) if place != left_out]
            text = f" {sign} ".join(f"({self._text(self._span(each))})" for each in rest)
            yield self._make("part of a condition left out", self._span(node), f"({text})")

    def _change_constant(self, node: ast.Constant) -> Iterator[Change]:
        value = node.value
        if isinstance(value, bool):
            yield self._make("another constant", self._span(node), str(not value))
        elif isinstance(value, int):
            yield self._make("another constant", self._span(node), str(value + 1))
        elif isinstance(value, float):
            yield self._make("another constant", self._span(node), str(value * 2 + 1))

    def _drop_keywords(self, node: ast.Call) -> Iterator[Change]:
        """Arguments given by name, one left out at a time: what has a default takes that."""
        for place, keyword in enumerate(node.keywords):
            if keyword.arg in _SAID:
                continue
            start, end = self._span_of(keyword)
            rest = self._source[end:]
            blank = len(rest) - len(rest.lstrip(b" \n,"))
            if place + 1 == len(node.keywords):
                blank = 0
            yield self._make("argument left out", (start, end + blank), "")

    # Places in the text

    def _span(self, node: ast.expr | ast.stmt) -> Span:
        return self._span_of(node)

    def _span_of(self, node: ast.expr | ast.stmt | ast.keyword) -> Span:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, span: Span) -> str:
        return self._source[span[0] : span[1]].decode()

    def _make(self, kind: str, span: Span, after: str) -> Change:
        return Change(
            path=self._path,
            where=".".join(self._where) or "the module",
            lines=self._lines,
            kind=kind,
            start=span[0],
            end=span[1],
            before=self._text(span),
            after=after,
        )


def _is_passed_over(node: ast.stmt) -> bool:
    """Whether nobody could see a change: words, imports, types, what is logged or asserted."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert | ast.Pass | ast.Global):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return True
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return ast.unparse(value.func.value).split(".")[0].split("(")[0] in _LOGS
    return False


def _is_test(node: ast.stmt, child: ast.expr) -> bool:
    return isinstance(node, ast.If | ast.While) and child is node.test


def _is_nothing(node: ast.expr) -> bool:
    """Whether None in its place would be the same to whoever asks `if`."""
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


def _find_head_end(node: ast.stmt) -> int:
    """The last line of a statement, without the blocks that it holds."""
    body: list[ast.stmt] = getattr(node, "body", [])
    if body:
        return max(node.lineno, body[0].lineno - 1)
    return node.end_lineno or node.lineno
