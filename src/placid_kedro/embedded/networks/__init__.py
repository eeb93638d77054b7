"""The embedded models' own networks."""
