"""PlacidDreamer (ACM MM 2024) as a Kedro project: text to 3D with Latent-Plane and Balanced Score
Distillation."""

import os

__version__ = "0.2.0"

# OpenMP reads it when torch is first imported. Its threads would spin between two pieces of work, which costs a machine
# that others use as well ten times the time. What the user set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
