"""What the parts of the compose screen tell, and who takes it."""

from __future__ import annotations

from textual import on
from textual.screen import Screen

from tui.compose.derive import ImageActions
from tui.compose.making import Making
from tui.compose.parameter_actions import ParameterActions
from tui.compose.parameters import ParameterList
from tui.compose.prompt_actions import PromptActions
from tui.compose.prompts import PromptStack
from tui.compose.recent import FilmStrip


class ComposeMessages(Screen[None]):
    """Hands each message of a part to the actions of that part."""

    prompts: PromptActions
    parameters: ParameterActions
    making: Making
    images: ImageActions

    @on(PromptStack.TextTyped)
    async def _note_text(self, event: PromptStack.TextTyped) -> None:
        await self.prompts.note_text(event.row, event.text)

    @on(PromptStack.CursorMoved)
    def _note_cursor(self, event: PromptStack.CursorMoved) -> None:
        self.prompts.note_cursor(event.line, event.column)

    @on(PromptStack.TextLeft)
    async def _leave_text(self, event: PromptStack.TextLeft) -> None:
        await self.prompts.leave_text(event.row)

    @on(PromptStack.WeightTyped)
    def _note_weight(self, event: PromptStack.WeightTyped) -> None:
        self.prompts.note_weight(event.row, event.text)

    @on(PromptStack.WeightEntered)
    async def _enter_weight(self, event: PromptStack.WeightEntered) -> None:
        await self.prompts.enter_weight(event.row, event.text)

    @on(PromptStack.WeightLeft)
    async def _leave_weight(self, event: PromptStack.WeightLeft) -> None:
        await self.prompts.leave_weight(event.row)

    @on(PromptStack.RowChosen)
    async def _choose_row(self, event: PromptStack.RowChosen) -> None:
        await self.prompts.choose_row(event.row)

    @on(ParameterList.ValueTyped)
    def _note_value(self, event: ParameterList.ValueTyped) -> None:
        self.parameters.note(event.field, event.text)

    @on(ParameterList.ValueEntered)
    async def _enter_value(self, event: ParameterList.ValueEntered) -> None:
        await self.parameters.enter(event.field, event.text)

    @on(ParameterList.ValueLeft)
    async def _leave_value(self, event: ParameterList.ValueLeft) -> None:
        await self.parameters.leave(event.field)

    @on(ParameterList.FieldChosen)
    async def _choose_field(self, event: ParameterList.FieldChosen) -> None:
        await self.parameters.choose_field(event.field)

    @on(FilmStrip.ImageChosen)
    async def _choose_image(self, event: FilmStrip.ImageChosen) -> None:
        await self.making.choose(event.image)
