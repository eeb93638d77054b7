"""T3Bench (He et al. 2023): how good an object looks and how much of its prompt it shows, without a real object."""
