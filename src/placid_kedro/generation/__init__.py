"""The steps between a prompt and its splats that are neither a model nor an algorithm of their own."""
