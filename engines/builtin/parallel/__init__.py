"""Denoising shared out to a group of processes on this machine."""
