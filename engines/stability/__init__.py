"""Stability AI over gRPC: the messages of `stability-sdk`, built, sent and read by us."""
