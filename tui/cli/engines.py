"""The command `engines`: which there are, and what they accept."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from engines.capabilities import Capabilities, Sizes, Span
from tui.cli.options import JsonOption, ProfileOption
from tui.cli.run import print_json, print_line, print_note, run_command
from tui.words import name_feature


def engines(
    is_online: Annotated[
        bool, typer.Option("--online", help="Ask the service which engines it has.")
    ] = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the engines and what they accept."""

    async def list_online() -> None:
        from engines.settings import load_user_settings
        from engines.stability import SPEC
        from engines.stability.account import list_server_engines

        found = await list_server_engines(load_user_settings().of(SPEC))
        if as_json:
            print_json({"engines": [msgspec.to_builtins(row) for row in found]})
            return
        for row in found:
            ready = "" if row.is_ready else "  (not ready)"
            print_line(f"{row.id}  {row.name}{ready}")
            if row.description:
                print_line(f"  {row.description}")
        if not found:
            print_note("The service names no engine.")

    async def work() -> None:
        from engines.registry import EngineRegistry
        from engines.settings import load_user_settings

        registry = EngineRegistry(load_user_settings())
        found = [registry.get_capabilities(name) for name in registry.list_engines()]
        for problem in registry.problems.values():
            print_note(f"note: {problem}")
        if as_json:
            print_json({"engines": [msgspec.to_builtins(row) for row in found]})
            return
        for row in found:
            print_line(f"{row.engine}: {row.title}")
            print_line(f"  models    {', '.join(row.models)}")
            print_line(f"  samplers  {', '.join(row.samplers)}")
            print_line(f"  styles    {', '.join(row.style_presets) or 'none'}")
            print_line(f"  steps     {_show_span(row.steps)}")
            own = row.for_model(None)
            print_line(f"  cfg scale {_show_span(own.cfg_scale)}")
            print_line(f"  sizes     {_show_sizes(own.sizes)}")
            for model in row.models[1:]:
                _print_model(model, row.for_model(model), own)
            again = "yes" if row.is_deterministic else f"no: {row.why_not}"
            print_line(f"  the same request gives the same pixels: {again}")

    run_command(list_online() if is_online else work(), as_json=as_json)


def _print_model(name: str, other: Capabilities, default: Capabilities) -> None:
    """A model in what it accepts differently from the default one."""
    facts = []
    if other.cfg_scale != default.cfg_scale:
        facts.append(f"cfg scale {_show_span(other.cfg_scale)}")
    if other.sizes != default.sizes:
        facts.append(f"sizes {_show_sizes(other.sizes)}")
    if other.takes != default.takes:
        facts.append(
            "takes " + (", ".join(name_feature(name) for name in other.takes) or "no image")
        )
    if facts:
        print_line(f"  {name}: {'; '.join(facts)}")


def _show_span(span: Span) -> str:
    if span.is_left_to_server:
        return f"{span.words} ({span.default:g} stands for that)"
    return f"{span.words}, default {span.default:g}"


def _show_sizes(sizes: Sizes) -> str:
    return ", ".join(f"{width}x{height}" for width, height in sizes.suggested)


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(engines)
