"""What the full screens beside the editor share: a last line that speaks, and actions."""

from __future__ import annotations

from textual.screen import Screen

from tui.actions import BY_ID, Situation
from tui.widgets.key_line import KeyLine


class ActingScreen(Screen[None]):
    """A screen that does actions, with a `KeyLine` for what is to be said."""

    _keys: KeyLine

    def get_situation(self) -> Situation:
        """What decides which actions can be done now."""
        raise NotImplementedError

    async def perform(self, action_id: str, key: str) -> None:
        """Do what the action says; it can be done now."""
        raise NotImplementedError

    def say(self, message: str) -> None:
        """Show a sentence in the last line until the next key."""
        self._keys.say(message)

    def on_key(self) -> None:
        """A key ends the message in the last line."""
        self.say("")

    async def action_perform(self, action_id: str, key: str = "") -> None:
        """Do what the action says, or say why it cannot be done now."""
        if reason := BY_ID[action_id].explain(self.get_situation()):
            self.say(reason)
        else:
            await self.perform(action_id, key)
