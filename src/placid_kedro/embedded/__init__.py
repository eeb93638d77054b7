"""How the embedded models are made from scratch: data, targets, training loops."""
