"""Commands that look after the machinery: engines, worker, cancel, retry, doctor."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from engines.capabilities import Capabilities, Sizes, Span
from store.places import find_data_directory
from tui.cli.darkroom import open_darkroom, run_command
from tui.cli.options import JsonOption, ProfileOption
from tui.cli.output import EXIT_DIFFERENT, print_json, print_line, print_note


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
            "takes " + (", ".join(name.replace("_", " ") for name in other.takes) or "no image")
        )
    if facts:
        print_line(f"  {name}: {'; '.join(facts)}")


def _show_span(span: Span) -> str:
    if span.is_left_to_server:
        return f"{span.words} ({span.default:g} stands for that)"
    return f"{span.words}, default {span.default:g}"


def _show_sizes(sizes: Sizes) -> str:
    return ", ".join(f"{width}x{height}" for width, height in sizes.suggested)


def worker(
    is_status: Annotated[bool, typer.Option("--status", help="Say whether one runs.")] = False,
    is_stop: Annotated[bool, typer.Option("--stop", help="Ask it to leave after its job.")] = False,
) -> None:
    """Run jobs in this terminal.

    A worker is started by itself when there is work; this is for those who want to watch one.
    """
    from engines.worker.process import find_worker

    directory = find_data_directory()
    if is_status or is_stop:
        status = find_worker(directory)
        if not status.is_running or status.process_id is None:
            print_line("no worker runs")
        elif is_stop:
            os.kill(status.process_id, signal.SIGTERM)
            print_line(f"asked worker {status.process_id} to leave after its job")
        else:
            print_line(f"worker {status.process_id} runs")
        return

    async def prepare() -> None:
        async with open_darkroom():
            pass

    run_command(prepare())
    command = [sys.executable, "-P", "-m", "engines.worker", "--directory", str(directory)]
    os.execv(sys.executable, command)


def backup(
    file: Annotated[Path, typer.Argument(help="A file that does not exist yet.")],
) -> None:
    """Copy the database, checked, to a new file.

    Others may go on working. The image files are not in it: copy the folder `images` too.
    """

    async def work() -> None:
        async with open_darkroom() as darkroom:
            await darkroom.back_up(file.absolute())
            print_line(f"copied to {file}")
            print_note(f"The image files are in {darkroom.directory / 'images'}.")

    run_command(work())


def cancel(
    job: Annotated[str, typer.Argument(help="A job's id or its beginning; 'jobs' lists them.")],
) -> None:
    """Stop a job within one step."""

    async def work() -> None:
        async with open_darkroom() as darkroom:
            found = await darkroom.get_job(job)
            found = await darkroom.cancel(found.id)
        print_line(f"{found.id[:8]}  {found.state.value}")

    run_command(work())


def retry(
    job: Annotated[str, typer.Argument(help="A job's id or its beginning; 'jobs' lists them.")],
) -> None:
    """Queue an ended job again, with its id and seed.

    Also one that may have been charged: this is how to say that it shall be sent again.
    """

    async def work() -> None:
        async with open_darkroom() as darkroom:
            found = await darkroom.get_job(job)
            found = await darkroom.retry(found.id)
        print_line(f"{found.id[:8]}  {found.state.value}")

    run_command(work())


def doctor(as_json: JsonOption = False) -> None:
    """Check what Safelight stands on.

    Status 1 when something is wrong.
    """

    async def work() -> int:
        from tui.cli.diagnosis import diagnose

        facts, problems = await diagnose(find_data_directory())
        if as_json:
            print_json({"facts": facts, "problems": problems})
        else:
            _print_facts(facts)
            for problem in problems:
                print_note(f"problem: {problem}")
            if not problems:
                print_line("no problem found")
        return EXIT_DIFFERENT if problems else 0

    raise typer.Exit(run_command(work(), as_json=as_json))


def _print_facts(facts: dict[str, dict[str, Any]]) -> None:
    for section, rows in facts.items():
        print_line(section)
        for name, value in rows.items():
            print_line(f"  {name:<22} {value}")


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(engines)
    app.command()(worker)
    app.command()(backup)
    app.command()(cancel)
    app.command()(retry)
    app.command()(doctor)
