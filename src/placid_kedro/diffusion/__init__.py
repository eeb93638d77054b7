"""Diffusion models: noise levels, loading, sampling, fine-tuning."""
