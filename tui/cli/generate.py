"""Commands that make images: generate from prompts; vary and upscale from past ones."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import typer

from engines.resolve import (
    IMAGES_MAXIMUM,
    UPSCALE_FACTORS,
    VARIATION_STRENGTH,
    UpscaleChoices,
)
from store.errors import RequestError
from store.limits import (
    CFG_SCALE_MAXIMUM,
    STEPS_MAXIMUM,
    UPSCALED_MAXIMUM,
    parse_number,
    parse_whole,
)
from store.records import Turn
from store.request import MASK_COLORS, UPSCALERS, WEIGHT_METHODS, Prompt, Request
from tui.cli import options
from tui.cli.completing import complete_image
from tui.cli.image_choices import ImageChoices, list_notes, plan_images, read_choices
from tui.cli.inputs import (
    GivenImage,
    read_choice,
    read_count,
    read_image,
    read_number,
    read_prompts,
    read_request,
    read_whole,
)
from tui.cli.output import (
    FormatOption,
    NameOption,
    Output,
    SidecarOption,
    SignOption,
    StripOption,
    read_output,
)
from tui.cli.results import finish_jobs, print_cost
from tui.cli.run import open_darkroom, print_note, run_command
from tui.file_names import DEFAULT_PATTERN
from tui.saving import make_folder
from tui.seeds import find_seed, read_seed
from tui.shell_command import STANDARD_INPUT


def generate(
    context: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Prompts; '::W' behind one is its weight, below 0 to avoid it. '-' reads them "
            "from standard input, one a line.",
            show_default=False,
        ),
    ] = None,
    seed: options.SeedOption = None,
    steps: options.StepsOption = None,
    cfg_scale: options.CfgScaleOption = None,
    width: options.WidthOption = None,
    height: options.HeightOption = None,
    sampler: options.SamplerOption = None,
    style_preset: options.StyleOption = None,
    engine: options.EngineOption = None,
    model: options.ModelOption = None,
    profile: options.ProfileOption = None,
    images: options.ImagesOption = "1",
    off: options.OffOption = None,
    init_image: options.InitImageOption = None,
    start_schedule: options.StartScheduleOption = None,
    end_schedule: options.EndScheduleOption = None,
    image_strength: options.ImageStrengthOption = None,
    mask_image: options.MaskImageOption = None,
    mask_replaces: options.MaskReplacesOption = MASK_COLORS[0],
    masked_area_init: options.MaskedAreaInitOption = "original",
    variation_seed: options.VariationSeedOption = None,
    variation_strength: options.VariationStrengthOption = None,
    guidance_preset: options.GuidancePresetOption = None,
    guidance_strength: options.GuidanceStrengthOption = None,
    guidance_cuts: options.GuidanceCutsOption = None,
    guidance_models: options.GuidanceModelsOption = None,
    guidance_prompt: options.GuidancePromptOption = None,
    weight_method: options.WeightMethodOption = WEIGHT_METHODS[0],
    adapter_type: options.AdapterTypeOption = None,
    adapter_strength: options.AdapterStrengthOption = None,
    adapter_init_type: options.AdapterInitTypeOption = None,
    fine_tune: options.FineTuneOption = None,
    content_credentials: options.ContentCredentialsOption = False,
    is_verbatim: options.VerbatimOption = False,
    request: options.RequestOption = None,
    from_list: options.FromOption = None,
    session: options.SessionOption = None,
    output: options.OutputOption = None,
    name: NameOption = DEFAULT_PATTERN,
    file_format: FormatOption = None,
    strip: StripOption = False,
    sidecar: SidecarOption = None,
    sign: SignOption = None,
    until: options.UntilOption = None,
    is_next: options.NextOption = False,
    priority: options.PriorityOption = "0",
    as_json: options.JsonOption = False,
    no_wait: options.NoWaitOption = False,
) -> None:
    """Make images from prompts. What is omitted takes the engine's default."""
    from engines.installed import find_installed
    from tui.cli.prompt_list import ListReader, plan_list, read_lines
    from tui.cli.series import begin_series, read_until

    async def repeat(given: str, target: Output | None, turn: Turn) -> int:
        _refuse_more(context)
        whole = read_request(given)
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            print_cost(darkroom, [whole])
            if target is not None:
                make_folder(target.folder)
            job = await darkroom.generate_request(whole, session, turn=turn)
            return await finish_jobs(darkroom, [job], target, no_wait=no_wait, as_json=as_json)

    async def work() -> int:
        target = read_output(
            output,
            pattern=name,
            file_format=file_format,
            strip=strip,
            sidecars=sidecar,
            sign=sign,
        )
        moment = None if until is None else read_until(until, datetime.now())
        if moment is not None:
            _refuse_beside_until(output is not None, is_next or priority != "0")
        turn = Turn(priority=read_count("--priority", priority, -100, 100), is_next=is_next)
        if request is not None:
            return await repeat(request, target, turn)
        if not prompts and from_list is None:
            raise RequestError(
                "prompts",
                None,
                "No prompt was given.",
                "Write one, or - to read them from standard input; --from reads a list.",
            )
        if from_list == STANDARD_INPUT and STANDARD_INPUT in (prompts or ()):
            raise RequestError("from", from_list, "Standard input can be read only once.")
        choices = ImageChoices(
            prompts=read_prompts(prompts or (), off, is_verbatim=is_verbatim),
            seed=seed,
            steps=steps,
            cfg_scale=cfg_scale,
            width=width,
            height=height,
            sampler=sampler,
            style_preset=style_preset,
            engine=engine,
            model=model,
            images=images,
            init_image=init_image,
            start_schedule=start_schedule,
            end_schedule=end_schedule,
            image_strength=image_strength,
            mask_image=mask_image,
            mask_replaces=mask_replaces,
            masked_area_init=masked_area_init,
            variation_seed=variation_seed,
            variation_strength=variation_strength,
            guidance_preset=guidance_preset,
            guidance_strength=guidance_strength,
            guidance_cuts=guidance_cuts,
            guidance_models=tuple(guidance_models or ()),
            guidance_prompt=guidance_prompt,
            weight_method=weight_method,
            adapter_type=adapter_type,
            adapter_strength=adapter_strength,
            adapter_init_type=adapter_init_type,
            fine_tune=tuple(fine_tune or ()),
            content_credentials=content_credentials,
            is_verbatim=is_verbatim,
        )
        # What cannot be is told before a history is opened.
        read_choices(choices, find_installed().default.name)
        lines = [] if from_list is None else read_lines(from_list)
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            if from_list is None:
                planned = [await plan_images(darkroom, choices)]
            else:
                reader = ListReader(choices, _name_flags(context))
                planned = await plan_list(darkroom, lines, reader.read)
            losses = tuple(dict.fromkeys(text for plan in planned for text in plan.losses))
            for text in losses:
                print_note(f"note: {text}")
            print_cost(darkroom, [request for plan in planned for request in plan.requests])
            if target is not None:
                make_folder(target.folder)
            for each in [file for plan in planned for file in plan.given]:
                await darkroom.keep_input(each)
            if moment is not None:
                return await begin_series(
                    darkroom, [plan.draft for plan in planned], moment, session, as_json=as_json
                )
            if from_list is None:
                jobs = await darkroom.generate(planned[0].draft, session, turn)
            else:
                drafts = [plan.draft for plan in planned]
                jobs = await darkroom.generate_all(drafts, session, turn)
            return await finish_jobs(
                darkroom, jobs, target, no_wait=no_wait, as_json=as_json, losses=losses
            )

    raise typer.Exit(run_command(work(), as_json=as_json))


_BESIDE_REQUEST = (
    *("request", "profile", "session", "as_json", "no_wait", "is_next", "priority"),
    *("output", "name", "file_format", "strip", "sidecar", "sign"),
)
"""What may be given beside a whole request: none of it is in one."""


def _refuse_more(context: typer.Context) -> None:
    """Raise `RequestError` for what was given beside a whole request and would be ignored."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _BESIDE_REQUEST or source is None or source.name != "COMMANDLINE":
            continue
        what = "prompts" if name == "prompts" else parameter.opts[0]
        raise RequestError(
            "request",
            None,
            f"A whole request was given, and {what} beside it.",
            "Leave one of them out: a request holds all that decides the image.",
        )


def _refuse_beside_until(has_output: bool, has_turn: bool) -> None:
    """Raise `RequestError` for what a series, which nobody waits for, would ignore."""
    if has_output:
        raise RequestError(
            "output",
            None,
            "A series belongs to the queue, so no command is there to write its images.",
            "Leave out --output; 'safelight export' writes them later.",
        )
    if has_turn:
        raise RequestError(
            "priority", None, "A series goes on when no other job waits: it has no other place."
        )


def _name_flags(context: typer.Context) -> dict[str, str]:
    """The fields of `ImageChoices` that are flags, by the long names of those flags."""
    fields = set(ImageChoices.__struct_fields__) - {"prompts", "is_verbatim"}
    return {
        flag.removeprefix("--"): parameter.name
        for parameter in context.command.params
        if parameter.name in fields
        for flag in parameter.opts
        if flag.startswith("--")
    }


def vary(
    image: Annotated[
        str,
        typer.Argument(
            help="An id or its beginning; @1 is the newest, seed:N of a seed.",
            autocompletion=complete_image,
        ),
    ],
    strength: Annotated[
        str,
        typer.Option("--strength", metavar="NUMBER", help="0 the same image, 1 another one."),
    ] = f"{VARIATION_STRENGTH:g}",
    variation_seed: Annotated[
        str | None,
        typer.Option(
            "--variation-seed",
            "-S",
            metavar="INTEGER|@-N",
            help="Drawn if omitted. @-1: the seed of the newest image.",
        ),
    ] = None,
    images: Annotated[
        str,
        typer.Option(
            "--images", "-n", metavar="INTEGER", help="Images, of variation seeds that follow."
        ),
    ] = "1",
    profile: options.ProfileOption = None,
    session: options.SessionOption = None,
    output: options.OutputOption = None,
    name: NameOption = DEFAULT_PATTERN,
    file_format: FormatOption = None,
    strip: StripOption = False,
    sidecar: SidecarOption = None,
    sign: SignOption = None,
    as_json: options.JsonOption = False,
    no_wait: options.NoWaitOption = False,
) -> None:
    """Make variations of a past image.

    The same request, with some noise of another seed blended in.
    """

    async def work() -> int:
        target = read_output(
            output,
            pattern=name,
            file_format=file_format,
            strip=strip,
            sidecars=sidecar,
            sign=sign,
        )
        share = parse_number("parameters.variation.strength", "strength", strength, 0, 1)
        field = "parameters.variation.seed"
        given_seed = read_seed(field, "variation seed", variation_seed)
        count = parse_whole("images", "images", images, 1, IMAGES_MAXIMUM)
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            source = await darkroom.get_image(image)
            number = await find_seed(darkroom, field, given_seed)
            print_cost(darkroom, [source.request] * count)
            if target is not None:
                make_folder(target.folder)
            jobs = await darkroom.vary(
                source, strength=share, seed=number, images=count, session=session
            )
            return await finish_jobs(darkroom, jobs, target, no_wait=no_wait, as_json=as_json)

    raise typer.Exit(run_command(work(), as_json=as_json))


def upscale(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Image files, or ids of the history; @1 is the newest.",
            autocompletion=complete_image,
        ),
    ],
    factor: Annotated[
        str | None,
        typer.Option("--by", metavar="INTEGER", help="2 or 4 times as large; 2 if omitted."),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            "--width", "-W", metavar="INTEGER", help="Pixels, instead; the height follows."
        ),
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
    is_verbatim: options.VerbatimOption = False,
    upscaler: options.UpscalerOption = None,
    session: options.SessionOption = None,
    output: options.OutputOption = None,
    name: NameOption = DEFAULT_PATTERN,
    file_format: FormatOption = None,
    strip: StripOption = False,
    sidecar: SidecarOption = None,
    sign: SignOption = None,
    as_json: options.JsonOption = False,
    no_wait: options.NoWaitOption = False,
) -> None:
    """Make images larger.

    Prompts and parameters are those of the image where it has a record; some models read them.
    """

    async def work() -> int:
        target = read_output(
            output,
            pattern=name,
            file_format=file_format,
            strip=strip,
            sidecars=sidecar,
            sign=sign,
        )
        stack = read_prompts(prompts or (), off, is_verbatim=is_verbatim)
        kind = None if upscaler is None else read_choice("upscaler", upscaler, UPSCALERS)
        given_seed = read_seed("parameters.seed", "seed", seed)
        choices = UpscaleChoices(
            engine=engine,
            model=model,
            factor=read_whole("factor", factor, *UPSCALE_FACTORS),
            width=read_whole("parameters.width", width, 1, UPSCALED_MAXIMUM),
            upscaler=kind,
            steps=read_whole("parameters.steps", steps, 1, STEPS_MAXIMUM),
            cfg_scale=read_number("parameters.cfg_scale", cfg_scale, 0, CFG_SCALE_MAXIMUM),
            sampler=sampler,
            style_preset=style_preset,
            prompts=tuple(
                Prompt(text=row.text, weight=row.weight, enabled=row.enabled) for row in stack
            )
            or None,
        )
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            number = await find_seed(darkroom, "parameters.seed", given_seed)
            numbered = msgspec.structs.replace(choices, seed=number)
            given: list[GivenImage] = []
            requests: list[Request] = []
            for word in images:
                one = await read_image(darkroom, word, "image to make larger", "parameters.upscale")
                requests.append(darkroom.resolve_upscale(one.file, numbered, one.image))
                given.append(one)
            losses = list_notes([one.file for one in given])
            for text in losses:
                print_note(f"note: {text}")
            print_cost(darkroom, requests)
            if target is not None:
                make_folder(target.folder)
            jobs = [await darkroom.upscale(one.file, numbered, session, one.image) for one in given]
            return await finish_jobs(
                darkroom, jobs, target, no_wait=no_wait, as_json=as_json, losses=losses
            )

    raise typer.Exit(run_command(work(), as_json=as_json))


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command(cls=options.GroupedCommand)(generate)
    app.command(cls=options.GroupedCommand)(vary)
    app.command(cls=options.GroupedCommand)(upscale)
