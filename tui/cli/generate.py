"""Commands that make images: generate from prompts; vary and upscale from past ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from engines.capabilities import Capabilities
from engines.resolve import (
    IMAGES_MAXIMUM,
    UPSCALE_FACTORS,
    VARIATION_STRENGTH,
    UpscaleChoices,
    make_initial_image,
)
from store.decoding import DecodedInput
from store.errors import RequestError
from store.limits import (
    CFG_SCALE_MAXIMUM,
    STEPS_MAXIMUM,
    UPSCALED_MAXIMUM,
    parse_number,
    parse_whole,
)
from store.prompts import clean_text
from store.records import Draft, Relation
from store.request import (
    CONTENT_CREDENTIALS,
    MASK_COLORS,
    MASKED_AREA_INITS,
    UPSCALERS,
    WEIGHT_METHODS,
    Mask,
    Prompt,
    Request,
)
from tui.cli import options
from tui.cli.completing import complete_image
from tui.cli.inputs import (
    GivenImage,
    parse_adapter,
    parse_fine_tunes,
    parse_guidance,
    parse_variation,
    read_choice,
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
from tui.darkroom import Darkroom
from tui.file_names import DEFAULT_PATTERN
from tui.saving import make_folder
from tui.seeds import find_seed, read_seed


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
    """Make images from prompts. What is omitted takes the engine's default."""
    from engines.installed import find_installed

    async def repeat(given: str, target: Output | None) -> int:
        _refuse_more(context)
        whole = read_request(given)
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            print_cost(darkroom, [whole])
            if target is not None:
                make_folder(target.folder)
            job = await darkroom.generate_request(whole, session)
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
        if request is not None:
            return await repeat(request, target)
        if not prompts:
            raise RequestError(
                "prompts",
                None,
                "No prompt was given.",
                "Write one, or - to read them from standard input.",
            )
        stack = read_prompts(prompts, off, is_verbatim=is_verbatim)
        given_seed = read_seed("parameters.seed", "seed", seed)
        draft = Draft(
            prompts=stack,
            engine=engine or find_installed().default.name,
            model=model,
            style_preset=style_preset,
            sampler=sampler,
            variation=parse_variation(variation_seed, variation_strength),
            guidance=parse_guidance(
                guidance_preset,
                guidance_strength,
                guidance_cuts,
                guidance_models,
                clean_guidance(guidance_prompt, is_verbatim),
            ),
            weight_method=read_choice("parameters.weight_method", weight_method, WEIGHT_METHODS),
            adapter=parse_adapter(adapter_type, adapter_strength, adapter_init_type),
            fine_tunes=parse_fine_tunes(fine_tune),
            content_credentials=CONTENT_CREDENTIALS[0] if content_credentials else None,
            images=parse_whole("images", "images", images, 1, IMAGES_MAXIMUM),
        )
        schedule = (
            read_number("parameters.start_schedule", start_schedule),
            read_number("parameters.end_schedule", end_schedule),
            read_number("image_strength", image_strength),
        )
        async with open_darkroom() as darkroom:
            await darkroom.check_session(session)
            number = await find_seed(darkroom, "parameters.seed", given_seed)
            draft = msgspec.structs.replace(draft, seed=number)
            own = darkroom.get_capabilities(draft.engine).for_model(model)
            draft = read_numbers(draft, own, (steps, cfg_scale), (width, height))
            given: list[DecodedInput] = []
            if init_image is not None:
                start = await read_image(
                    darkroom, init_image, "initial image", "parameters.initial_image"
                )
                draft = _start_from(darkroom, draft, start, schedule)
                given.append(start.file)
            elif schedule != (None, None, None):
                raise RequestError(
                    "parameters.start_schedule",
                    None,
                    "A schedule's start and end belong to an initial image.",
                    "Give --init-image too.",
                )
            if mask_image is not None:
                replaces = read_choice("parameters.mask.replaces", mask_replaces, MASK_COLORS)
                mask = await read_image(
                    darkroom, mask_image, "mask", "parameters.mask", replaces=replaces
                )
                draft = msgspec.structs.replace(
                    draft,
                    mask=Mask(
                        sha256=mask.file.sha256,
                        replaces=replaces,
                        area_init=read_choice(
                            "parameters.mask.area_init", masked_area_init, MASKED_AREA_INITS
                        ),
                    ),
                )
                given.append(mask.file)
            requests = darkroom.resolve(draft)
            losses = (*list_notes(given), *darkroom.describe_losses(draft))
            for text in losses:
                print_note(f"note: {text}")
            print_cost(darkroom, requests)
            if target is not None:
                make_folder(target.folder)
            for each in given:
                await darkroom.keep_input(each)
            jobs = await darkroom.generate(draft, session)
            return await finish_jobs(
                darkroom, jobs, target, no_wait=no_wait, as_json=as_json, losses=losses
            )

    raise typer.Exit(run_command(work(), as_json=as_json))


_BESIDE_REQUEST = (
    *("request", "profile", "session", "as_json", "no_wait"),
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


def clean_guidance(text: str | None, is_verbatim: bool) -> str | None:
    """The text of the guidance as a prompt's is cleaned."""
    return text if text is None or is_verbatim else clean_text(text)


def read_numbers(
    draft: Draft,
    own: Capabilities,
    numbers: tuple[str | None, str | None],
    size: tuple[str | None, str | None],
) -> Draft:
    """`draft` with steps and cfg scale (`numbers`), width and height (`size`) as they were given.

    `own` is what the model accepts. Raises `RequestError`.
    """
    sizes = own.sizes
    sides = [side for known in sizes.only for side in known] or [sizes.low, sizes.high]
    low, high = min(sides), max(sides)
    return msgspec.structs.replace(
        draft,
        steps=read_whole("parameters.steps", numbers[0], own.steps.low, own.steps.high),
        cfg_scale=read_number(
            "parameters.cfg_scale", numbers[1], own.cfg_scale.low, own.cfg_scale.high
        ),
        width=read_whole("parameters.width", size[0], low, high),
        height=read_whole("parameters.height", size[1], low, high),
    )


def _start_from(
    darkroom: Darkroom,
    draft: Draft,
    given: GivenImage,
    schedule: tuple[float | None, float | None, float | None],
) -> Draft:
    """`draft` with `given` as its initial image, in its size where none was asked for."""
    sizes = darkroom.get_capabilities(draft.engine).for_model(draft.model).sizes
    size = (given.file.width, given.file.height)
    nearest = sizes.find_nearest(size)
    if nearest != size and draft.width is None and draft.height is None:
        print_note(
            f"note: the engine {draft.engine} makes no {size[0]}x{size[1]}; "
            f"the nearest is {nearest[0]}x{nearest[1]}, which is taken"
        )
    parent = given.image.id if given.image else None
    return msgspec.structs.replace(
        draft,
        initial_image=make_initial_image(given.file.sha256, *schedule),
        width=nearest[0] if draft.width is None else draft.width,
        height=nearest[1] if draft.height is None else draft.height,
        parent_id=parent,
        relation=Relation.INITIAL_IMAGE if parent else None,
    )


def list_notes(files: Sequence[DecodedInput]) -> tuple[str, ...]:
    """What was changed or lost of the files that came in, a sentence each."""
    return tuple(dict.fromkeys(note for file in files for note in file.notes))


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
