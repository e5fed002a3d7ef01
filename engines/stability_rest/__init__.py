"""Stability AI over REST (v2beta)."""
