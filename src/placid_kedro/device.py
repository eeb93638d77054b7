"""Where the networks compute."""

import torch


def resolve_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one and the CPU elsewhere; any other name is torch's own."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
