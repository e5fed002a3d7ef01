"""Work beside the screen, on the app's own loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from textual.dom import DOMNode


def start_work(
    node: DOMNode,
    work: Callable[[], Coroutine[Any, Any, None]],
    group: str,
    *,
    is_exclusive: bool = False,
) -> None:
    """Run `work` for as long as `node` lives; an error in it ends the app, as anywhere else.

    `is_exclusive` cancels what runs in the same group of the node: never for writing. The
    function is handed over, not a coroutine, which nobody would await if the node is gone.
    """
    node.run_worker(cast(Any, work), group=group, exclusive=is_exclusive)
