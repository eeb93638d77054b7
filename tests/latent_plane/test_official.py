"""The authors' weights, and files of their layout with other widths, against the point-by-point oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from placid_kedro.errors import ModelError, ShapeError
from placid_kedro.latent_plane import LatentPlane, load_official

WEIGHTS = next(
    (p / "shared/reference/weights" for p in Path(__file__).resolve().parents if (p / "shared").is_dir()),
    Path(),
)
REAL = WEIGHTS / "latent_plane_coarse_21500.pt", WEIGHTS / "latent_plane_fine_8100.pt"
EMBEDDING = 63


def synthesize(
    folder: Path, *, channels=24, time=20, token=12, density_inner=16, feature_inner=24, shared=False
):
    """Two files of the authors' layout with random numbers and other widths."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape, scale=None):
        return torch.randn(*shape, generator=generator) * (scale or shape[-1] ** -0.5)

    def transformer(width, inner):
        state = {
            "transformer_layer_norm.weight": 1 + random(width, scale=0.1),
            "transformer_layer_norm.bias": random(width, scale=0.1),
        }
        for layer in range(2):
            for name in ("to_q", "to_k", "to_v"):
                state[f"transformer.{layer}.{name}.weight"] = random(inner, width) * 1.5
            state[f"transformer.{layer}.to_out.0.weight"] = random(width, inner)
            state[f"transformer.{layer}.to_out.0.bias"] = random(width, scale=0.1)
        if shared:
            for name in [n for n in state if n.startswith("transformer.1.")]:
                state[name] = state[name.replace("transformer.1.", "transformer.0.")].clone()
        return state

    width = token + 2 * EMBEDDING
    coarse = {
        "sigma_embeddings": random(token, scale=1.0),
        "latent_feature_ln.weight": random(token, channels),
        "latent_feature_ln.bias": random(token),
        "time_feature_ln.weight": random(token, time),
        "time_feature_ln.bias": random(token),
        "sigma_query_ln.weight": random(width, 2 * token),
        "sigma_query_ln.bias": random(width),
        **transformer(width, density_inner),
        "sigma_net.weight": random(1, width) * 2,
        "sigma_net.bias": random(1, scale=1.0),
    }
    fine = transformer(channels + 2 * EMBEDDING, feature_inner)
    paths = folder / "coarse.pt", folder / "fine.pt"
    torch.save(coarse, paths[0])
    torch.save(fine, paths[1])
    return paths


def read(path):
    return {k: v.double().numpy() for k, v in torch.load(path, map_location="cpu", weights_only=True).items()}


def inputs(plane: LatentPlane, size: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(8, plane.config.feature_channels, size, size, generator=generator)
    t_emb = torch.randn(plane.config.time_embedding_dim, generator=generator)
    return features, t_emb


@pytest.fixture(params=["real", "other widths", "other widths, shared"])
def paths(request, tmp_path):
    if request.param == "real":
        if not REAL[0].exists():
            pytest.skip("the authors' weights are not here")
        return REAL
    return synthesize(tmp_path, shared=request.param.endswith("shared"))


def test_density_equals_the_formulas(paths, oracle):
    plane = load_official(*paths)
    features, t_emb = inputs(plane, 32)
    generator = torch.Generator().manual_seed(1)
    inside = torch.rand(12, 3, generator=generator) - 0.5
    corners = torch.tensor([[0.5, 0.5, 0.5], [-0.5, -0.5, -0.5], [0.0, 0.0, 0.0]])
    points = torch.cat([inside, corners])
    with torch.no_grad():
        sigma = plane.density(features, t_emb, points)
    weights, maps = read(paths[0]), features.double().numpy()
    expected = [oracle.density(weights, maps, t_emb.double().numpy(), p) for p in points.double().numpy()]
    np.testing.assert_allclose(sigma.double(), expected, rtol=2e-4, atol=2e-4)
    assert np.std(expected) > 0.05


def test_enhanced_map_equals_the_formulas(paths, oracle):
    plane = load_official(*paths)
    features, t_emb = inputs(plane, 8)
    with torch.no_grad():
        enhanced, occupancy = plane(features, t_emb)
    coarse, fine, maps = read(paths[0]), read(paths[1]), features.double().numpy()
    assert enhanced.shape == features.shape and occupancy.shape == (8, 1, 8, 8)
    # The centre, the border, and a corner whose ray misses the cube.
    for view, row, column in ((0, 3, 4), (3, 2, 5), (6, 6, 1), (5, 0, 0)):
        value, expected_occupancy = oracle.pixel(
            coarse,
            fine,
            maps,
            t_emb.double().numpy(),
            view,
            row,
            column,
            combination="blend",
            missed_rays="crossed",
        )
        assert abs(occupancy[view, 0, row, column].item() - expected_occupancy) < 1e-4
        scale = np.abs(value).max()
        np.testing.assert_allclose(enhanced[view, :, row, column].double(), value, atol=1e-4 * scale)


def test_what_the_files_say_is_kept(tmp_path):
    plane = load_official(*synthesize(tmp_path))
    assert (plane.config.combination, plane.config.missed_rays, plane.config.share_layers) == (
        "blend",
        "crossed",
        False,
    )
    assert load_official(*synthesize(tmp_path, shared=True)).config.share_layers


class _Payload:
    def __reduce__(self):
        return (print, ("the file's code was run",))


@pytest.mark.parametrize("damage", ["code", "bytes", "list", "missing", "folder"])
def test_other_files_are_refused(tmp_path, damage, capsys):
    coarse, fine = synthesize(tmp_path)
    if damage == "code":
        torch.save({"sigma_embeddings": _Payload()}, coarse)
    elif damage == "bytes":
        coarse.write_bytes(b"not a state dict")
    elif damage == "list":
        torch.save([torch.zeros(3)], coarse)
    else:
        coarse = tmp_path if damage == "folder" else tmp_path / "nowhere.pt"
    with pytest.raises(ModelError, match=r"plain state dict of tensors|is not a file|does not exist"):
        load_official(coarse, fine)
    assert "was run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("sigma_net.bias"), "sigma_head.bias"),
        (lambda c: c.update({"sigma_net.weight": torch.zeros(1, 7)}), r"must be \[1, 138\], got \[1, 7\]"),
        (lambda c: c.update({"more": torch.zeros(1)}), "holds more"),
        (lambda c: c.update({"sigma_embeddings": torch.full((12,), torch.nan)}), "NaN"),
        (lambda c: c.pop("latent_feature_ln.weight"), "latent_feature_ln.weight"),
        (lambda c: c.update({"transformer.1.to_q.weight": torch.zeros(24, 138)}), "transformer.1.to_q"),
        (lambda c: [c.pop(n) for n in list(c) if n.startswith("transformer.")], "no attention layers"),
        (
            lambda c: [c.pop(n) for n in list(c) if n.startswith("transformer.1")],
            "1 attention layers|must have 1",
        ),
    ],
)
def test_another_architecture_is_named(tmp_path, change, message):
    coarse, fine = synthesize(tmp_path)
    state = torch.load(coarse, weights_only=True)
    change(state)
    torch.save(state, coarse)
    with pytest.raises(ModelError, match=message):
        load_official(coarse, fine)


def test_swapped_files_are_refused(tmp_path):
    coarse, fine = synthesize(tmp_path)
    with pytest.raises(ModelError, match=r"fine\.pt"):
        load_official(fine, coarse)


def test_wrong_inputs_name_what_was_expected(tmp_path):
    plane = load_official(*synthesize(tmp_path))
    features, t_emb = inputs(plane, 8)
    with pytest.raises(ShapeError, match="8 views, 24 channels"):
        plane(features[:7], t_emb)
    with pytest.raises(ShapeError, match="8 views, 24 channels"):
        plane(features[:, :20], t_emb)
    with pytest.raises(ShapeError, match="aspect 256:256, got 6x8"):
        plane(features[..., :6], t_emb)
    with pytest.raises(ShapeError, match="20 values"):
        plane(features, t_emb[:5])
    with pytest.raises(ShapeError, match="finite"):
        plane(features.index_fill(0, torch.tensor([2]), torch.nan), t_emb)
    with pytest.raises(ShapeError, match=r"\[P, 3\]"):
        plane.density(features, t_emb, torch.zeros(4, 2))
