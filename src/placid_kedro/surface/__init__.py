"""From density fields and images to points on the surface, and to the first Gaussians (Sec. 4.1)."""
