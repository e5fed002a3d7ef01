"""The history screen: past images, their records."""
