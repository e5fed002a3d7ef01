"""The size of an image that is made larger: the protocol takes its width or its height."""

from __future__ import annotations

from store.errors import RequestError

Size = tuple[int, int]


def choose_side(wanted: Size, image: Size) -> tuple[str, int]:
    """The one side that says the `wanted` size of an `image` made larger: its width if it can.

    Raises `RequestError` for a size of other proportions than the image's.
    """
    if find_size(image, width=wanted[0]) == wanted:
        return "width", wanted[0]
    if find_size(image, height=wanted[1]) == wanted:
        return "height", wanted[1]
    width, height = find_size(image, width=wanted[0])
    raise RequestError(
        "parameters.size",
        wanted,
        f"An image of {image[0]}x{image[1]} cannot be made {wanted[0]}x{wanted[1]}: the Stability "
        "API keeps its proportions.",
        f"Ask for {width}x{height}.",
    )


def find_size(image: Size, *, width: int | None = None, height: int | None = None) -> Size:
    """The size that an `image` of (width, height) gets when one side becomes as given."""
    if width is not None:
        return width, _scale(image[1], width, image[0])
    assert height is not None
    return _scale(image[0], height, image[1]), height


def _scale(side: int, wanted: int, whole: int) -> int:
    """`side` times `wanted` / `whole`, to the nearest; half a pixel becomes a whole one."""
    return max(1, (2 * side * wanted + whole) // (2 * whole))
