"""Tests of the engine that speaks the Stability API over gRPC."""
