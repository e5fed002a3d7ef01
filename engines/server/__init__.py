"""A server of the Stability protocol for any engine."""
