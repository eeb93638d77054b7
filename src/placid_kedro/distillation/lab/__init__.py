"""The laboratory: the algorithms side by side in 2D (Fig. 2, 3, 5, 9, 10, 11)."""
