"""The screen of where an image came from and what came of it."""
