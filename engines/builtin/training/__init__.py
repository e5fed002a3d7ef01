"""Training of the embedded model: data generator, autoencoder, denoiser, export, evaluation.

Nothing here is imported by the engine at run time. It needs Pillow and numpy, and PyTorch
for the steps that train.
"""
