"""What a set-up compiles is what sampling calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from placid_kedro import kernels
from placid_kedro.latent_plane import LatentPlane, ObjectInputs, compile_kernels
from placid_kedro.latent_plane.extensions.settings import Extensions


@pytest.mark.parametrize("extensions", [Extensions(), Extensions(density_refinement=2, silhouette_factor=4)])
def test_a_set_up_calls_every_kernel_that_sampling_calls(
    extensions: Extensions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = LatentPlane(
        feature_channels=8,
        time_embedding_dim=6,
        token_channels=4,
        num_heads=2,
        density_head_dim=4,
        feature_head_dim=4,
        samples_per_ray=4,
        extensions=extensions,
    )
    plane.save_pretrained(tmp_path / "latent_plane")
    called: list[tuple[Any, ...]] = []
    monkeypatch.setattr(kernels, "call", lambda kernel, *arguments, made_by: called.append(made_by))

    compile_kernels(tmp_path)
    compiled = set(called)
    called.clear()
    edge = 8 * extensions.silhouette_factor
    silhouette = torch.ones(edge, edge) if edge else None
    inputs = ObjectInputs(torch.randn(8, 8, 8, 8), torch.randn(6), silhouette)
    with torch.no_grad():
        plane.enhance(inputs.batch)
        plane.density_at(inputs, torch.rand(5, 3) - 0.5)
    assert len(compiled) == 2
    assert set(called) == compiled
