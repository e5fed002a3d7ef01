"""Training data: captioned images drawn by a program, and their latents."""
