"""Pre-flight: what is other now than when an image was made, before it is made again.

Nothing is made and nothing is sent. What differs is ranked by whether it decides pixels, which the
engine declares (`EngineSpec.judge_change`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engines.base import Weight
from engines.outlook import Change, Outlook, Preflight
from engines.registry import EngineRegistry
from engines.verify import (
    FILE_FINDINGS,
    explain_failure,
    judge_foreign,
    judge_record,
    list_changed_around,
)
from store import history
from store.errors import SafelightError
from store.integrity import check_record
from store.records import Comparison, EnvironmentRecord, Image, Verdict

if TYPE_CHECKING:
    from engines.capabilities import Capabilities
    from store.database import Database
    from store.request import Request


_ORDER = tuple(Weight)


def check_before(database: Database, registry: EngineRegistry, reference: str) -> Preflight:
    """What is other now for the image whose id begins with `reference`. May load a model.

    Raises `NotFound`.
    """
    image = history.check_image(database, reference)
    changes = _check_record(database, image)
    if (foreign := judge_foreign(image)) is not None:
        return _conclude(image, [*changes, _to_change(foreign)], 0.0)
    try:
        request = registry.pin(image.request, image.environment)
        capabilities = registry.get_capabilities(request.engine)
        capabilities.check(request)
        changes += _check_promise(capabilities, request)
        changes += _compare_environments(
            registry, request, image.environment, registry.describe_environment(request)
        )
        cost = registry.estimate_cost(request)
    except SafelightError as error:
        failure = explain_failure(error)
        changes.append(
            Change(
                name=failure.first_difference or "engine",
                weight=Weight.PREVENTS,
                reason=str(error).rstrip("."),
            )
        )
        cost = None
    return _conclude(image, changes, cost)


def _conclude(image: Image, changes: list[Change], cost: float | None) -> Preflight:
    return Preflight(
        image_id=image.id,
        outlook=_find_outlook(changes),
        changes=tuple(sorted(changes, key=lambda change: _ORDER.index(change.weight))),
        cost=cost,
    )


def _check_record(database: Database, image: Image) -> list[Change]:
    """What was changed in the record or is missing of its files, and the same of its own file."""
    findings = check_record(database, image)
    if (comparison := judge_record(findings)) is not None:
        return [_to_change(comparison)]
    told = (finding.partition(": ") for finding in findings)
    return [
        Change(name=name, weight=Weight.DECIDES, reason=said.rstrip("."))
        for name, _, said in told
        if name in FILE_FINDINGS
    ]


def _to_change(comparison: Comparison) -> Change:
    """A verdict that stands before anything is made."""
    prevents = comparison.verdict is Verdict.CANNOT_RUN
    return Change(
        name=comparison.first_difference or "record",
        weight=Weight.PREVENTS if prevents else Weight.DECIDES,
        reason=comparison.detail.rstrip("."),
    )


def _check_promise(capabilities: Capabilities, request: Request) -> list[Change]:
    """What the engine does not promise, and what its server decides by itself."""
    found = []
    if not capabilities.is_deterministic:
        why = capabilities.why_not or "it does not promise the same image twice"
        found.append(Change(name="engine", weight=Weight.DECIDES, reason=why.rstrip(".")))
    for name in capabilities.list_left_to_server(request.model):
        reason = "the server decides it, so its default of today is what counts"
        found.append(Change(name=name, weight=Weight.MAY_DECIDE, reason=reason))
    return found


def _compare_environments(
    registry: EngineRegistry,
    request: Request,
    then: EnvironmentRecord | None,
    now: EnvironmentRecord,
) -> list[Change]:
    """What is other around the engine, judged by it."""
    if then is None:
        reason = "what made it is not recorded"
        return [Change(name="environment", weight=Weight.MAY_DECIDE, reason=reason)]
    spec = registry.get_spec(request.engine)
    found = []
    for name in list_changed_around(then, now):
        judged = spec.judge_change(name, request, then, now)
        found.append(
            Change(
                name=name,
                weight=judged.weight,
                reason=judged.reason,
                then=then.values.get(name),
                now=now.values.get(name),
            )
        )
    return found


def _find_outlook(changes: Iterable[Change]) -> Outlook:
    weights = {change.weight for change in changes}
    if Weight.PREVENTS in weights:
        return Outlook.CANNOT_RUN
    if Weight.DECIDES in weights:
        return Outlook.DIFFERENT
    return Outlook.UNSURE if Weight.MAY_DECIDE in weights else Outlook.IDENTICAL
