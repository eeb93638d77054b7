"""T3Bench's own models, one a file: ImageReward, CLIP, BLIP-2, a chat model behind an endpoint."""
