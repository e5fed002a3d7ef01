"""The embedded model: a miniature latent diffusion model that runs on numpy alone."""
