"""Variants of the method side by side: what is measured of each, how they differ, how they look."""
