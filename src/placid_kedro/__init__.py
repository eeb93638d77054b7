"""PlacidDreamer (ACM MM 2024) as a Kedro project: text to 3D with Latent-Plane and Balanced Score
Distillation."""

__version__ = "0.2.0"
