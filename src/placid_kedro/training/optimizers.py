"""Optimizers of the training loop."""

from __future__ import annotations

from typing import Any

from torch import nn, optim

from placid_kedro.errors import ParameterError
from placid_kedro.training.settings import TrainingSettings

# Muon is made for the matrices between the first and the last layer of a network, and takes its time for large
# ones only. These are diffusers' names of the others that a UNet has.
_SMALLEST_SIDE = 48
_OUTER_LAYERS = ("conv_in", "conv_out", "embedding")


def make_optimizer(
    network: nn.Module, trained: list[nn.Parameter], settings: TrainingSettings
) -> optim.Optimizer:
    """The optimizer that the settings name, for some parameters of a network.

    `muon` orthogonalises the momentum of a layer's matrix (https://kellerjordan.github.io/posts/muon/), scaled so that
    it moves a weight as far as AdamW does (Eq. 4 of arXiv:2502.16982): one learning rate serves both. Kernels are
    matrices [out, in * height * width]; biases, norms, small and outer layers go on with AdamW.

    Args:
        network: names the parameters.
        trained: those to train.
        settings: of the training.

    Raises:
        ParameterError: for `muon` when the network has no such matrix.
    """
    if settings.optimizer == "adamw":
        return optim.AdamW(
            trained, lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
        )
    from pytorch_optimizer import Muon

    matrices = hidden_matrices(network, trained)
    if not matrices:
        raise ParameterError(
            f"optimizer 'muon' needs matrices of at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE} between the first and "
            "the last layer, and this network has none; use 'adamw'."
        )
    of_muon = {id(matrix) for matrix in matrices}
    others = [parameter for parameter in trained if id(parameter) not in of_muon]
    common: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    groups = [
        {**common, "params": matrices, "use_muon": True, "use_adjusted_lr": True},
        {**common, "params": others, "use_muon": False, "betas": settings.betas, "eps": 1e-8},
    ]
    return Muon(groups)


def hidden_matrices(network: nn.Module, trained: list[nn.Parameter]) -> list[nn.Parameter]:
    """The trained weights of a network that Muon is for, in the network's order."""
    wanted = {id(parameter) for parameter in trained}
    return [
        parameter
        for name, parameter in network.named_parameters()
        if id(parameter) in wanted
        and parameter.ndim >= 2
        and min(parameter.shape[0], parameter[0].numel()) >= _SMALLEST_SIDE
        and not any(layer in name for layer in _OUTER_LAYERS)
    ]
