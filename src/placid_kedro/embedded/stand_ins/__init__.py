"""In the place of T3Bench's models on machines without them. Their numbers end with `_embedded`."""

SUFFIX = "_embedded"
