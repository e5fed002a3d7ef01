"""The commands of the program: which module has each, loaded when it is asked for.

Help and completion list all of them and load none, as most stand on the database.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class Entry(NamedTuple):
    """A command in the list of help: its name, its module in `tui.cli`, its own first sentence."""

    name: str
    family: str
    summary: str


ENTRIES = (
    Entry("generate", "generate", "Make images from prompts."),
    Entry("vary", "generate", "Make variations of a past image."),
    Entry("upscale", "generate", "Make images larger."),
    Entry("regenerate", "verify", "Make images again, as children, and compare."),
    Entry("verify", "verify", "Prove images: status 0 when all are identical."),
    Entry(
        "runs",
        "runs",
        "List runs of verifications, newest first, or print, pause, resume or cancel one.",
    ),
    Entry("series", "series", "List series, newest first, or pause, resume or cancel one."),
    Entry(
        "history",
        "history",
        "List images, newest first; not those in the trash, unless is:trashed is searched for.",
    ),
    Entry("show", "history", "Print the whole record of an image."),
    Entry("sessions", "history", "List sessions; 'safelight --session NAME' opens one."),
    Entry("backup", "history", "Copy the database, checked, to a new file."),
    Entry(
        "lineage",
        "lineage",
        "Print what an image came from and what came of it, as a tree, with what changed.",
    ),
    Entry(
        "diff",
        "compare",
        "Print what differs between two images: status 0 when they are equal, 1 when not.",
    ),
    Entry(
        "bisect",
        "compare",
        "Find the change that explains the difference of two images: status 0 when one alone does.",
    ),
    Entry("rate", "annotate", "Rate images from 0 to 5; 'none' takes it away."),
    Entry("favourite", "annotate", "Make images favourites; thinning leaves those alone."),
    Entry("tag", "annotate", "Add tags to images, or remove them; capitals do not count."),
    Entry("note", "annotate", "Write a note to images."),
    Entry(
        "trash", "trash", "Put images in the trash; lists leave them out until they are put back."
    ),
    Entry("export", "export", "Write images to files, with their records in them."),
    Entry("import", "imports", "Add image files to the history, with what their metadata say."),
    Entry("thin", "thinning", "Drop the pixels of images that were verified identical here."),
    Entry("restore", "thinning", "Make the pixels of thinned images again."),
    Entry("jobs", "queue", "List jobs, newest first, with why they failed."),
    Entry("cancel", "queue", "Stop a job within one step, or all of them."),
    Entry(
        "pause",
        "queue",
        "Pause the queue: what runs is ended, nothing else is begun before 'resume'.",
    ),
    Entry("resume", "queue", "Go on with a paused queue."),
    Entry("move", "queue", "Change the order in which jobs are made."),
    Entry("retry", "queue", "Queue an ended job again, with its id and seed."),
    Entry("worker", "queue", "Run jobs in this terminal."),
    Entry(
        "report",
        "outcomes",
        "Say what became of the jobs that ended since then: the report in the morning.",
    ),
    Entry("engines", "engines", "List the engines and what they accept."),
    Entry("balance", "account", "Say what is left on the account, and what was spent today."),
    Entry("doctor", "doctor", "Check what Safelight stands on."),
    Entry("keys", "bindings", "List what has a key in the darkroom: id, keys, what it does."),
    Entry("serve", "serve", "Serve an engine to programs of the Stability API."),
    Entry(
        "key",
        "account",
        "Keep the key of a service: in the system's keyring, or in a file of your own.",
    ),
)
"""All commands, in the order of help."""


class Commands(Mapping[str, Any]):
    """Commands by name; a module that has some is loaded with the first that is read."""

    def __init__(self) -> None:
        self._families = {entry.name: entry.family for entry in ENTRIES}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded |= load_family(self._families[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._families

    def __iter__(self) -> Iterator[str]:
        return iter(self._families)

    def __len__(self) -> int:
        return len(self._families)


def load_family(name: str) -> dict[str, Any]:
    """The commands of a module in `tui.cli`, by name; it is imported."""
    family = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    # With a callback it is a group also where it has one command.
    family.callback()(lambda: None)
    importlib.import_module(f"tui.cli.{name}").register(family)
    return dict(get_group(family).commands)


class ProgramGroup(TyperGroup):
    """The program's commands, each loaded when it is run or its own help is wanted."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of help."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its sentence, as far as the line takes it."""
        with self._outlined():
            super().format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The commands that begin so, with their sentences, and options."""
        with self._outlined():
            return super().shell_complete(ctx, incomplete)

    @contextlib.contextmanager
    def _outlined(self) -> Iterator[None]:
        """In the block the commands have names and sentences, and nothing else."""
        outline = {entry.name: TyperCommand(entry.name, help=entry.summary) for entry in ENTRIES}
        loaded, self.commands = self.commands, outline
        try:
            yield
        finally:
            self.commands = loaded
