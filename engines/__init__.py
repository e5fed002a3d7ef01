"""How requests become images: adapters, the embedded model, the worker."""
