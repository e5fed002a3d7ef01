"""The server of the Stability protocol on a fleet: Ray Serve, one engine to each replica."""
