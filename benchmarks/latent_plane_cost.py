"""What Latent-Plane adds to the cost of sampling views: seconds a guided step with it over seconds without it.

    python benchmarks/latent_plane_cost.py                      # the embedded model's sizes, on the CPU
    python benchmarks/latent_plane_cost.py --model zero123-xl --device cuda

Weights are random, which costs what trained ones cost except for the feature part: it runs only where the
density has weight. The density is therefore replaced by an opaque sphere's, evaluated beside the plane's own.
CPU time of the process is measured, so that other load on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from placid_kedro.latent_plane import LatentPlane, LatentPlaneAttachment

VIEWS = 8
MODELS = {
    "embedded": json.loads(Path("models/zero123/unet/config.json").read_text(encoding="utf-8")),
    "zero123-xl": {
        "sample_size": 32,
        "in_channels": 8,
        "out_channels": 4,
        "block_out_channels": (320, 640, 1280, 1280),
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
}
_SIZES = ("num_octaves", "samples_per_ray", "num_heads", "density_head_dim", "feature_head_dim")
_PLANE = json.loads(Path("models/latent_plane/latent_plane/config.json").read_text(encoding="utf-8"))
PLANES = {
    "paper": {},
    "embedded": {name: _PLANE[name] for name in _SIZES},
    "small": {"samples_per_ray": 16, "num_heads": 4, "feature_head_dim": 32},
    "smallest": {"samples_per_ray": 16, "num_heads": 4, "token_channels": 16, "feature_head_dim": 16},
}


class SpherePlane(LatentPlane):
    """Pays for the plane's density, then goes on with that of a sphere of half the cube's width."""

    def _density_object(self, features: Tensor, t_emb: Tensor, points: object) -> Tensor:
        own = super()._density_object(features, t_emb, points)  # type: ignore[arg-type]
        positions = points.embedding[:, :3]  # type: ignore[attr-defined]
        return torch.where(positions.norm(dim=-1) < 0.25, 60.0, -20.0) + 0 * own


def seconds(action: Callable[[], object], repeats: int, device: str) -> float:
    """The fastest of `repeats` runs after one that warms up."""

    def clock() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    action()
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return min(times)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=sorted(MODELS), default="embedded")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--weight-threshold", type=float, default=1e-2)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(MODELS[arguments.model]).to(arguments.device).eval()
    config = unet.config
    batch = 2 * VIEWS
    sample = torch.randn(batch, config.in_channels, config.sample_size, config.sample_size)
    states = torch.randn(batch, 8, config.cross_attention_dim)
    sample, states = sample.to(arguments.device), states.to(arguments.device)

    def step() -> object:
        return unet(sample, 500, states).sample

    plain = seconds(step, arguments.repeats, arguments.device)
    print(f"{arguments.model}, {VIEWS} guided views: {plain:.3f} s a step without Latent-Plane")
    for name, sizes in PLANES.items():
        plane = SpherePlane(
            config.block_out_channels[1],
            unet.time_embedding.linear_2.out_features,
            weight_threshold=arguments.weight_threshold,
            **sizes,
        )
        plane.to(arguments.device).eval()
        with LatentPlaneAttachment(unet, plane, guided=True, branches="conditional"):
            enhanced = seconds(step, arguments.repeats, arguments.device)
        print(f"  plane {name:8s} {enhanced:.3f} s, ratio {enhanced / plain:.2f}", end="")
        print(f", over 50 steps of which 45 enhanced {0.1 + 0.9 * enhanced / plain:.2f}", flush=True)


if __name__ == "__main__":
    main()
