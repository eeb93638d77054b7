"""How a Latent-Plane is trained (Sec. 4.2, App. D)."""
