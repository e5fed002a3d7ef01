"""The embedded models: their revisions, and what they accept.

Reading this module loads neither numpy nor weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engines.builtin.samplers import FORMULAS
from engines.capabilities import REVISION_MARK, Capabilities, Sizes, Span, split_name

MODEL = "safelight-128-v1"
UPSCALE_MODEL = "safelight-upscale-x2"

SAMPLERS = tuple(FORMULAS)


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of a model that was released: it makes the same bits for ever.

    `bundle`: the folder in `weights/` that holds its weights, whose SHA-256 are `files`. `methods`:
    the named methods that it uses (`methods.py`). `golden`: SHA-256 of the file of its digests,
    `tests/engines/builtin/golden/NAME.json`.
    """

    model: str
    number: int
    bundle: int
    files: Mapping[str, str]
    methods: Mapping[str, str]
    golden: str

    @property
    def name(self) -> str:
        """How requests name it: `MODEL@NUMBER`."""
        return f"{self.model}{REVISION_MARK}{self.number}"


_BUNDLE_3 = {
    "model.npz": "ea7b5e435d5ae51618fabe34f4ebe9765f8f0a2855a4dd58836b1b105b66c938",
    "vocabulary.txt": "5a2e3b3fb5162234b0ce39ba47a4535eac1cfdd620d381403247d97112aaa6d9",
}

RELEASED = (
    Revision(
        model=MODEL,
        number=3,
        bundle=3,
        files=_BUNDLE_3,
        methods={
            "guidance": "composed-3",
            "noise": "philox-1",
            "schedule": "karras-3",
            "partial schedule": "share-1",
            "inpainting": "kept-latent-1",
            "variation": "linear-variance-1",
        },
        golden="99558923ad04d004bd8a88a80f7578b30c314c7bcc6e28e67bb5ac8168b5c26c",
    ),
    Revision(
        model=UPSCALE_MODEL,
        number=1,
        bundle=3,
        files=_BUNDLE_3,
        methods={},
        golden="4bb501b4b2898b1dc2cefa3bee338487dc430dedb27a7e6f117a59a663d60a83",
    ),
)
"""Every revision that was ever released, the newest of a model first: only added to.

What was made before is not among them: revisions 1 and 2 of the model were given up when the next
one came. The upscaler has not changed since it is there.
"""

UNNAMED: Mapping[str, int] = {MODEL: 3, UPSCALE_MODEL: 1}
"""What a request means that names a model without a revision, as all once did.

For ever: whatever revision is the newest. Where an image's record says that another one made it,
it is that one.
"""


def name_revision(name: str, recorded: str | None = None) -> str:
    """`name` with its revision. `recorded`: the engine revision in an image's environment."""
    model, number = split_name(name)
    if number is not None or model not in UNNAMED:
        return name
    number = UNNAMED[model]
    if model == MODEL and recorded is not None and recorded.isdecimal():
        number = int(recorded)
    return f"{model}{REVISION_MARK}{number}"


def find_bundle(name: str) -> int | None:
    """The number of the weights that the model `name` needs, None where it is no model of ours.

    Those of a revision that other packages bring have its number.
    """
    model, number = split_name(name_revision(name))
    for revision in RELEASED:
        if (revision.model, revision.number) == (model, number):
            return revision.bundle
    return number if model == MODEL else None


STYLE_WORDS = {
    "analog-film": "analog film",
    "anime": "anime style",
    "comic-book": "comic book",
    "line-art": "line art",
    "low-poly": "low poly",
    "neon-punk": "neon punk",
    "photographic": "photographic",
    "pixel-art": "pixel art",
}
"""Style presets and the words that stand for them in the training captions."""

NATIVE_SIZES = ((128, 128), (192, 128), (128, 192))
"""Sizes (width, height) that the network itself makes; others are resized from these."""

SIDE_HIGH = 4096
PIXELS_HIGH = 1536 * 1536
"""The largest side and image: every size that the hosted service's models take is among them."""

UPSCALED_SIZES = ((256, 256), (384, 256), (256, 384))
"""What the upscaler makes of the native sizes."""

UPSCALE_INPUT = (16, 1024)
"""Smallest and largest side of an image that is made larger, in pixels."""
UPSCALE_SIDE = 2048
"""Largest side that comes of it."""
UPSCALE_FACTOR = 4
"""How many times longer a side can become."""

CAPABILITIES = Capabilities(
    engine="builtin",
    title="Embedded model",
    models=tuple(each.name for each in RELEASED if each.model == MODEL),
    upscale_models=tuple(each.name for each in RELEASED if each.model == UPSCALE_MODEL),
    aliases={each.model: each.name for each in reversed(RELEASED)},
    samplers=SAMPLERS,
    default_sampler="k_dpmpp_2m",
    style_presets=tuple(STYLE_WORDS),
    steps=Span(low=1, high=150, step=1, default=30),
    cfg_scale=Span(low=0, high=35, step=0.5, default=7),
    sizes=Sizes(
        default=(128, 128),
        suggested=(*NATIVE_SIZES, *UPSCALED_SIZES, (512, 512), (1024, 1024)),
        native=(*NATIVE_SIZES, *UPSCALED_SIZES),
        high=SIDE_HIGH,
        pixels_high=PIXELS_HIGH,
    ),
    takes=("initial_image", "mask", "variation", "upscale"),
    upscale_side=UPSCALE_SIDE,
)
"""What the released revisions accept; `weights.py` adds those of other packages."""
