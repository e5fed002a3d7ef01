"""Servers that go wrong on purpose, down to the byte, and the table of the ways they do."""
