"""Where the networks compute, and how numbers get there and back."""

from collections.abc import Mapping

import torch
from torch import Tensor


def resolve_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one and the CPU elsewhere; any other name is torch's own."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def to_device(value: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on a device; on its way to a GPU the host does not wait for what the GPU still has to do."""
    if value.device.type == "cpu" and torch.device(device).type == "cuda":
        return value.pin_memory().to(device, non_blocking=True)
    return value.to(device)


def to_host(tensors: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """The values of several tensors of one device, flat, by name, in a single transfer that waits for the device."""
    values = torch.cat([tensor.detach().double().reshape(-1) for tensor in tensors.values()]).tolist()
    read, begin = {}, 0
    for name, tensor in tensors.items():
        read[name] = values[begin : begin + tensor.numel()]
        begin += tensor.numel()
    return read
