"""Diffusion models: noise schedules, loading, sampling and fine-tuning."""
