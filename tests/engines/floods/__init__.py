"""Answers that are too much: of bytes, of layers, of messages, of depth, of time, of pixels."""
