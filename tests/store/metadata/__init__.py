"""Metadata in image files, tested."""
