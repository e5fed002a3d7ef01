"""The options that several commands share, and help that shows them in groups."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from engines.settings import PROFILE_VARIABLE
from store.request import (
    ADAPTER_INITS,
    ADAPTERS,
    GUIDANCE_PRESETS,
    MASK_COLORS,
    MASKED_AREA_INITS,
    UPSCALERS,
    WEIGHT_METHODS,
)
from tui.cli.completing import (
    complete_engine,
    complete_model,
    complete_sampler,
    complete_session,
    complete_style,
)

START = "Initial image and mask"
VARIATION = "Variation"
GUIDANCE = "CLIP guidance"
SERVICE = "For services that have it"
RESULT = "What is done with the images"


class GroupedCommand(TyperCommand):
    """A command whose help lists options under the title that each names as its panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the options without a title, then group by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                usual = "Options" if parameter.param_type_name == "option" else "Arguments"
                title = getattr(parameter, "rich_help_panel", None) or usual
                groups.setdefault(title, []).append(record)
        for title in sorted(groups, key=lambda title: title == RESULT):
            with formatter.section(title):
                formatter.write_dl(groups[title], col_max=26)


def _use_profile(profile: str | None) -> str | None:
    """What is read from here on, also by a worker that is started, is of this profile."""
    if profile is not None:
        os.environ[PROFILE_VARIABLE] = profile
    return profile


ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        callback=_use_profile,
        help="The host of this name in config.toml.",
    ),
]


def _choose_session(context: typer.Context, name: str | None) -> str | None:
    """The session that is named behind the command, else before it."""
    return context.find_root().params.get("session") if name is None else name


SessionOption = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="NAME",
        callback=_choose_session,
        autocompletion=complete_session,
        help="The session that it belongs to; see 'sessions'.",
        rich_help_panel=RESULT,
    ),
]
VerbatimOption = Annotated[
    bool,
    typer.Option(
        "--verbatim",
        help="Each prompt is one, to the character; only a number behind its last '::' is none of "
        "its text.",
    ),
]
UpscalerOption = Annotated[
    str | None,
    typer.Option(
        "--upscaler",
        metavar="|".join(UPSCALERS),
        help="The protocol's kind; the model's own if omitted.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=RESULT)
]
NoWaitOption = Annotated[
    bool,
    typer.Option("--no-wait", help="Queue the jobs and end at once.", rich_help_panel=RESULT),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="WHEN",
        help="Go on with other seeds until 07:00, for 8h, until 2026-11-29T07:00, when no other "
        "job waits. See 'series'.",
        rich_help_panel=RESULT,
    ),
]
NextOption = Annotated[
    bool,
    typer.Option("--next", help="Before all jobs that wait now.", rich_help_panel=RESULT),
]
PriorityOption = Annotated[
    str,
    typer.Option(
        "--priority",
        metavar="INTEGER",
        help="-100 to 100: before jobs of a lower one. 0 if omitted; below 0 when nothing else "
        "waits.",
        rich_help_panel=RESULT,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Also write SEED.png, with its record in it, into this folder.",
        rich_help_panel=RESULT,
    ),
]
RequestOption = Annotated[
    str | None,
    typer.Option(
        "--request",
        metavar="FILE|-",
        help="Instead of prompts and parameters: a whole request in JSON, as 'show --json' has it.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FILE|-",
        help="A list instead of prompts, a stack a line (or JSON, with flags as keys); flags and "
        "prompts given here hold for each line.",
    ),
]
SeedOption = Annotated[
    str | None,
    typer.Option(
        "--seed",
        "-S",
        metavar="INTEGER|@-N",
        help="1 to 4294967294; drawn if omitted. @-1: that of the newest image, @-2 of the one "
        "before.",
    ),
]
StepsOption = Annotated[
    str | None, typer.Option("--steps", "-s", metavar="INTEGER", help="Sampling steps.")
]
CfgScaleOption = Annotated[
    str | None,
    typer.Option("--cfg-scale", "-C", metavar="NUMBER", help="How closely to follow the prompts."),
]
SamplerOption = Annotated[
    str | None,
    typer.Option("--sampler", "-A", help="See 'engines'.", autocompletion=complete_sampler),
]
StyleOption = Annotated[
    str | None,
    typer.Option("--style-preset", "-y", help="See 'engines'.", autocompletion=complete_style),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        "-e",
        help="See 'engines'; the first of them if omitted.",
        autocompletion=complete_engine,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="What the engine runs.", autocompletion=complete_model),
]
WidthOption = Annotated[
    str | None,
    typer.Option(
        "--width", "-W", metavar="INTEGER", help="Pixels; the initial image's if omitted."
    ),
]
HeightOption = Annotated[
    str | None, typer.Option("--height", "-H", metavar="INTEGER", help="Pixels, as the width.")
]
ImagesOption = Annotated[
    str,
    typer.Option(
        "--images", "--num-samples", "-n", metavar="INTEGER", help="Images, of seeds that follow."
    ),
]
OffOption = Annotated[
    list[str] | None,
    typer.Option(
        "--off", metavar="INTEGER", help="Switch the prompt at this place off; repeatable."
    ),
]

InitImageOption = Annotated[
    str | None,
    typer.Option(
        "--init-image",
        "-i",
        metavar="FILE|ID",
        help="Start from this file, or from an image of the history (its id, or @1).",
        rich_help_panel=START,
    ),
]
StartScheduleOption = Annotated[
    str | None,
    typer.Option(
        "--start-schedule",
        metavar="NUMBER",
        help="0 keeps the image, 1 ignores it; 0.6 if omitted.",
        rich_help_panel=START,
    ),
]
EndScheduleOption = Annotated[
    str | None,
    typer.Option(
        "--end-schedule",
        metavar="NUMBER",
        help="0, as if omitted: to the end.",
        rich_help_panel=START,
    ),
]
ImageStrengthOption = Annotated[
    str | None,
    typer.Option(
        "--image-strength",
        metavar="NUMBER",
        help="Instead of the start schedule, and 1 minus it: 1 keeps the image.",
        rich_help_panel=START,
    ),
]
MaskImageOption = Annotated[
    str | None,
    typer.Option(
        "--mask-image",
        metavar="FILE|ID",
        help="Which part is made anew: its black, or its holes. As large as the initial image.",
        rich_help_panel=START,
    ),
]
MaskReplacesOption = Annotated[
    str,
    typer.Option(
        "--mask-replaces",
        metavar="|".join(MASK_COLORS),
        help="The mask's colour for what is made anew.",
        rich_help_panel=START,
    ),
]
MaskedAreaInitOption = Annotated[
    str,
    typer.Option(
        "--masked-area-init",
        metavar="|".join(MASKED_AREA_INITS),
        help="What lies there before the first step.",
        rich_help_panel=START,
    ),
]

VariationSeedOption = Annotated[
    str | None,
    typer.Option(
        "--variation-seed",
        metavar="INTEGER",
        help="Blend this seed's noise in; drawn if only the strength is given.",
        rich_help_panel=VARIATION,
    ),
]
VariationStrengthOption = Annotated[
    str | None,
    typer.Option(
        "--variation-strength",
        metavar="NUMBER",
        help="0 none of it, 1 only it; 0.2 if omitted.",
        rich_help_panel=VARIATION,
    ),
]

GuidancePresetOption = Annotated[
    str | None,
    typer.Option(
        "--guidance-preset",
        metavar="PRESET",
        help=f"{', '.join(GUIDANCE_PRESETS)}.",
        rich_help_panel=GUIDANCE,
    ),
]
GuidanceStrengthOption = Annotated[
    str | None,
    typer.Option("--guidance-strength", metavar="NUMBER", help="0 to 1.", rich_help_panel=GUIDANCE),
]
GuidanceCutsOption = Annotated[
    str | None,
    typer.Option("--guidance-cuts", metavar="INTEGER", help="1 to 1024.", rich_help_panel=GUIDANCE),
]
GuidanceModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--guidance-models",
        metavar="NAME",
        help="A CLIP model; repeatable.",
        rich_help_panel=GUIDANCE,
    ),
]
GuidancePromptOption = Annotated[
    str | None,
    typer.Option(
        "--guidance-prompt", metavar="TEXT", help="Its own text.", rich_help_panel=GUIDANCE
    ),
]

WeightMethodOption = Annotated[
    str,
    typer.Option(
        "--weight-method",
        metavar="|".join(WEIGHT_METHODS),
        help="How prompts are weighed.",
        rich_help_panel=SERVICE,
    ),
]
AdapterTypeOption = Annotated[
    str | None,
    typer.Option(
        "--adapter-type",
        metavar="|".join(ADAPTERS),
        help="A T2I adapter that follows the initial image.",
        rich_help_panel=SERVICE,
    ),
]
AdapterStrengthOption = Annotated[
    str | None,
    typer.Option(
        "--adapter-strength",
        metavar="NUMBER",
        help="0 to 1; 0.4 if omitted.",
        rich_help_panel=SERVICE,
    ),
]
AdapterInitTypeOption = Annotated[
    str | None,
    typer.Option(
        "--adapter-init-type",
        metavar="|".join(ADAPTER_INITS),
        help="Whether the initial image is to be traced (as if omitted) or is already the sketch.",
        rich_help_panel=SERVICE,
    ),
]
FineTuneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fine-tune",
        metavar="MODEL[:WEIGHT]",
        help="A fine-tuned model, its weight 0 to 1; repeatable.",
        rich_help_panel=SERVICE,
    ),
]
ContentCredentialsOption = Annotated[
    bool,
    typer.Option(
        "--content-credentials",
        help="Have the service sign the image with its engine's name.",
        rich_help_panel=SERVICE,
    ),
]
