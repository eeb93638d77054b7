"""What the embedded model's plane has beyond the paper's."""
