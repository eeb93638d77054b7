"""What the tests of the algorithms share."""

import torch

from placid_kedro.distillation import Distiller
from placid_kedro.distillation.config import (
    BSD,
    CSD,
    ISM,
    NFSD,
    SDS,
    SSD,
    VSD,
    VSDMGDA,
    FixedRatio,
)

ALGORITHMS = [
    SDS(),
    CSD(),
    CSD(negative_weight=1.0),
    ISM(),
    SSD(),
    NFSD(),
    BSD(),
    BSD(preset="sds_weighted"),
    BSD(preset="official_3d"),
    BSD(preset="official_2d"),
    BSD(preset="auto"),
    FixedRatio(),
    VSD(),
    VSDMGDA(),
]
ANALYTIC = [algorithm for algorithm in ALGORITHMS if not isinstance(algorithm, VSD | VSDMGDA)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def run(algorithm, predictor, conditioning, latents, t, seed=0, progress=0.0):
    distiller = Distiller.create(algorithm, predictor, seeded(99))
    return distiller(latents, conditioning, t, seeded(seed), progress)


def exact_noise(network, x_t, t, mean):
    return network.schedule.to_epsilon(
        network(x_t, t, encoder_hidden_states=mean, return_dict=False)[0], x_t, t
    )
