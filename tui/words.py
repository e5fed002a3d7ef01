"""How sure a result is, as a sign and in words."""

from __future__ import annotations

from store.records import Verdict

_SIGNS: dict[Verdict | None, tuple[str, str]] = {
    None: ("·", "."),
    Verdict.IDENTICAL: ("✓", "="),
    Verdict.LATENTS_DRIFTED: ("≈", "~"),
    Verdict.DIFFERENT: ("≠", "!"),
    Verdict.CANNOT_RUN: ("?", "?"),
    Verdict.NOT_VERIFIABLE: ("?", "?"),
}

ROLES: dict[Verdict | None, str] = {
    None: "muted",
    Verdict.IDENTICAL: "success",
    Verdict.LATENTS_DRIFTED: "warning",
    Verdict.DIFFERENT: "error",
    Verdict.CANNOT_RUN: "warning",
    Verdict.NOT_VERIFIABLE: "muted",
}
"""The theme's role for a verdict's colour; the colour only repeats the sign."""

STYLES: dict[Verdict | None, str] = {
    verdict: {"muted": "$secondary", "warning": "bold"}.get(role, f"${role}")
    for verdict, role in ROLES.items()
}
"""The same as styles for content."""


def mark_verdict(verdict: Verdict | None, *, has_unicode: bool = True) -> str:
    """One character: `✓` identical, `≈` latents drifted, `≠` differs, `?`, `·` unverified.

    Without Unicode: `=`, `~`, `!`, `?`, `.`.
    """
    return _SIGNS[verdict][0 if has_unicode else 1]


def describe_verdict(verdict: Verdict | None, first_difference: str | None = None) -> str:
    """In words: `identical`, `differs at step 7`, `cannot run: model`, `unverified` …"""
    where = first_difference or ""
    match verdict:
        case None:
            return "unverified"
        case Verdict.DIFFERENT:
            return f"differs at {where}" if where else "differs"
        case Verdict.CANNOT_RUN:
            return f"cannot run: {where}" if where else "cannot run"
        case Verdict.LATENTS_DRIFTED:
            return f"pixels identical, latents drifted at {where}" if where else verdict.value
        case _:
            return verdict.value
