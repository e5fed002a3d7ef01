"""Commands that make images from past ones: vary, upscale."""

from __future__ import annotations

from typing import Annotated

import typer

from engines.resolve import VARIATION_STRENGTH, UpscaleChoices
from store.inputs import Input
from store.records import Image
from store.request import Prompt, Request
from tui.cli import options
from tui.cli.darkroom import open_darkroom, run_command
from tui.cli.inputs import parse_prompts, read_image
from tui.cli.results import finish_jobs, make_folder, print_cost


def vary(
    image: Annotated[str, typer.Argument(help="An id or its beginning; @1 is the newest.")],
    strength: Annotated[
        float, typer.Option("--strength", help="0 the same image, 1 another one.")
    ] = VARIATION_STRENGTH,
    variation_seed: Annotated[
        int | None, typer.Option("--variation-seed", "-S", help="Drawn if omitted.")
    ] = None,
    images: Annotated[
        int, typer.Option("--images", "-n", help="Images, of variation seeds that follow.")
    ] = 1,
    profile: options.ProfileOption = None,
    output: options.OutputOption = None,
    as_json: options.JsonOption = False,
    no_wait: options.NoWaitOption = False,
) -> None:
    """Make variations of a past image.

    The same request, with some noise of another seed blended in.
    """

    async def work() -> int:
        async with open_darkroom() as darkroom:
            source = await darkroom.get_image(image)
            print_cost(darkroom, [source.request] * images)
            make_folder(output)
            jobs = await darkroom.vary(
                source, strength=strength, seed=variation_seed, images=images
            )
            return await finish_jobs(darkroom, jobs, output, no_wait=no_wait, as_json=as_json)

    raise typer.Exit(run_command(work(), as_json=as_json))


def upscale(
    images: Annotated[
        list[str],
        typer.Argument(help="Image files, or ids of the history; @1 is the newest."),
    ],
    factor: Annotated[
        int | None, typer.Option("--by", help="2 or 4 times as large; 2 if omitted.")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", "-W", help="Pixels, instead; the height follows.")
    ] = None,
    engine: options.EngineOption = None,
    model: options.ModelOption = None,
    profile: options.ProfileOption = None,
    seed: options.SeedOption = None,
    steps: options.StepsOption = None,
    cfg_scale: options.CfgScaleOption = None,
    sampler: options.SamplerOption = None,
    style_preset: options.StyleOption = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help="As in 'generate'; repeatable."),
    ] = None,
    off: options.OffOption = None,
    upscaler: Annotated[
        options.Upscaler | None,
        typer.Option(
            "--upscaler",
            case_sensitive=False,
            help="The protocol's kind; the model's own if omitted.",
        ),
    ] = None,
    output: options.OutputOption = None,
    as_json: options.JsonOption = False,
    no_wait: options.NoWaitOption = False,
) -> None:
    """Make images larger.

    Prompts and parameters are those of the image where it has a record; some models read them.
    """

    async def work() -> int:
        stack = parse_prompts(prompts or (), off)
        choices = UpscaleChoices(
            engine=engine,
            model=model,
            factor=factor,
            width=width,
            upscaler=upscaler.value if upscaler else None,
            seed=seed,
            steps=steps,
            cfg_scale=cfg_scale,
            sampler=sampler,
            style_preset=style_preset,
            prompts=tuple(
                Prompt(text=row.text, weight=row.weight, enabled=row.enabled) for row in stack
            )
            or None,
        )
        async with open_darkroom() as darkroom:
            sources: list[Image | Input] = []
            requests: list[Request] = []
            for word in images:
                given = await read_image(darkroom, word, "parameters.upscale")
                size = Input(sha256=given.sha256, mime="", width=given.width, height=given.height)
                requests.append(darkroom.resolve_upscale(given.image or size, choices))
                sources.append(given.image or await darkroom.add_input(given.data))
            print_cost(darkroom, requests)
            make_folder(output)
            jobs = [await darkroom.upscale(source, choices) for source in sources]
            return await finish_jobs(darkroom, jobs, output, no_wait=no_wait, as_json=as_json)

    raise typer.Exit(run_command(work(), as_json=as_json))


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(cls=options.GroupedCommand)(vary)
    app.command(cls=options.GroupedCommand)(upscale)
