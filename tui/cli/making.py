"""The command that makes images: generate."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from engines.resolve import make_initial_image
from store.errors import RequestError
from store.fields import check_seed
from store.parameters import CONTENT_CREDENTIALS, Mask
from store.records import Draft, Relation
from tui.cli import options
from tui.cli.darkroom import open_darkroom, run_command
from tui.cli.inputs import (
    GivenImage,
    parse_adapter,
    parse_fine_tunes,
    parse_guidance,
    parse_prompts,
    parse_variation,
    read_image,
)
from tui.cli.output import print_note
from tui.cli.results import finish_jobs, make_folder, print_cost
from tui.darkroom import Darkroom


def generate(
    prompts: Annotated[
        list[str],
        typer.Argument(
            help="Prompts; '::W' at the end of one is its weight, below 0 to avoid it.",
            show_default=False,
        ),
    ],
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
    images: options.ImagesOption = 1,
    off: options.OffOption = None,
    init_image: options.InitImageOption = None,
    start_schedule: options.StartScheduleOption = None,
    end_schedule: options.EndScheduleOption = None,
    image_strength: options.ImageStrengthOption = None,
    mask_image: options.MaskImageOption = None,
    mask_replaces: options.MaskReplacesOption = options.MaskColor.BLACK,
    masked_area_init: options.MaskedAreaInitOption = options.MaskedAreaInit.ORIGINAL,
    variation_seed: options.VariationSeedOption = None,
    variation_strength: options.VariationStrengthOption = None,
    guidance_preset: options.GuidancePresetOption = None,
    guidance_strength: options.GuidanceStrengthOption = None,
    guidance_cuts: options.GuidanceCutsOption = None,
    guidance_models: options.GuidanceModelsOption = None,
    guidance_prompt: options.GuidancePromptOption = None,
    weight_method: options.WeightMethodOption = options.WeightMethod.TEXT_ENCODER,
    adapter_type: options.AdapterTypeOption = None,
    adapter_strength: options.AdapterStrengthOption = None,
    adapter_init_type: options.AdapterInitTypeOption = None,
    fine_tune: options.FineTuneOption = None,
    content_credentials: options.ContentCredentialsOption = False,
    output: options.OutputOption = None,
    as_json: options.JsonOption = False,
    no_wait: options.NoWaitOption = False,
) -> None:
    """Make images from prompts. What is omitted takes the engine's default."""

    from engines.installed import find_installed

    async def work() -> int:
        draft = Draft(
            prompts=parse_prompts(prompts, off),
            engine=engine or find_installed().default.name,
            model=model,
            seed=None if seed is None else check_seed(seed),
            steps=steps,
            cfg_scale=cfg_scale,
            sampler=sampler,
            width=width,
            height=height,
            style_preset=style_preset,
            variation=parse_variation(variation_seed, variation_strength),
            guidance=parse_guidance(
                guidance_preset, guidance_strength, guidance_cuts, guidance_models, guidance_prompt
            ),
            weight_method=weight_method.value,
            adapter=parse_adapter(adapter_type, adapter_strength, adapter_init_type),
            fine_tunes=parse_fine_tunes(fine_tune),
            content_credentials=CONTENT_CREDENTIALS[0] if content_credentials else None,
            images=images,
        )
        async with open_darkroom() as darkroom:
            given = []
            if init_image is not None:
                start = await read_image(darkroom, init_image, "parameters.initial_image")
                schedule = (start_schedule, end_schedule, image_strength)
                draft = _start_from(darkroom, draft, start, schedule)
                given.append(start)
            elif (start_schedule, end_schedule, image_strength) != (None, None, None):
                raise RequestError(
                    "parameters.start_schedule",
                    None,
                    "A schedule's start and end belong to an initial image.",
                    "Give --init-image too.",
                )
            if mask_image is not None:
                mask = await read_image(darkroom, mask_image, "parameters.mask")
                draft = msgspec.structs.replace(
                    draft,
                    mask=Mask(
                        sha256=mask.sha256,
                        replaces=mask_replaces.value,
                        area_init=masked_area_init.value,
                    ),
                )
                given.append(mask)
            requests = darkroom.resolve(draft)
            losses = darkroom.describe_losses(draft)
            for text in losses:
                print_note(f"note: {text}")
            print_cost(darkroom, requests)
            make_folder(output)
            for each in given:
                await darkroom.add_input(each.data)
            jobs = await darkroom.generate(draft)
            return await finish_jobs(
                darkroom, jobs, output, no_wait=no_wait, as_json=as_json, losses=losses
            )

    raise typer.Exit(run_command(work(), as_json=as_json))


def _start_from(
    darkroom: Darkroom,
    draft: Draft,
    given: GivenImage,
    schedule: tuple[float | None, float | None, float | None],
) -> Draft:
    """`draft` with `given` as its initial image, in its size where none was asked for."""
    sizes = darkroom.get_capabilities(draft.engine).for_model(draft.model).sizes
    size = (given.width, given.height)
    nearest = sizes.find_nearest(size)
    if nearest != size and draft.width is None and draft.height is None:
        print_note(
            f"note: the engine {draft.engine} makes no {size[0]}x{size[1]}; "
            f"the nearest is {nearest[0]}x{nearest[1]}, which is taken"
        )
    parent = given.image.id if given.image else None
    return msgspec.structs.replace(
        draft,
        initial_image=make_initial_image(given.sha256, *schedule),
        width=nearest[0] if draft.width is None else draft.width,
        height=nearest[1] if draft.height is None else draft.height,
        parent_id=parent,
        relation=Relation.INITIAL_IMAGE if parent else None,
    )


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command(cls=options.GroupedCommand)(generate)
