"""What a density field's render is worth, on renders that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placid_kedro.latent_plane.training.losses import DensityRender
from placid_kedro.latent_plane.training.scores import at_size, score_density


def render_of(occupancy, depth):
    return DensityRender(occupancy, depth, torch.log1p(-occupancy.clamp(max=0.999)))


def truth():
    mask = torch.zeros(2, 8, 8)
    mask[:, 2:6, 1:7] = 1.0
    depth = 1.0 + 0.05 * torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    return mask, depth * mask


def test_the_truth_itself_scores_one():
    mask, depth = truth()
    scores = score_density(render_of(mask, depth), mask, depth)
    assert scores.silhouette_iou == 1.0
    assert scores.foreground_depth_pearson == pytest.approx(1.0, abs=1e-4)
    assert scores.depth_pearson == pytest.approx(1.0, abs=1e-4)


def test_depth_of_a_hit_does_not_depend_on_how_opaque_it_is():
    mask, depth = truth()
    thickness = 0.55 + 0.4 * torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(1))
    scores = score_density(render_of(mask * thickness, depth * thickness), mask, depth)
    assert scores.silhouette_iou == 1.0
    assert scores.foreground_depth_pearson == pytest.approx(1.0, abs=1e-4)
    # The expected depth that Eq. 10 correlates does depend on it.
    assert scores.depth_pearson < 0.99


def test_scores_are_numpys():
    mask, depth = truth()
    generator = torch.Generator().manual_seed(2)
    occupancy = torch.rand(2, 8, 8, generator=generator)
    rendered = occupancy * (1 + 0.2 * torch.rand(2, 8, 8, generator=generator))
    scores = score_density(render_of(occupancy, rendered), mask, depth + 7.0 * (mask == 0))
    ious, inside, whole = [], [], []
    for o, d, m, t in zip(
        *(part.double().numpy() for part in (occupancy, rendered, mask, depth)), strict=True
    ):
        a, b = o > 0.5, m > 0.5
        ious.append((a & b).sum() / (a | b).sum())
        inside.append(np.corrcoef((d / o)[b], t[b])[0, 1])
        whole.append(np.corrcoef(d.ravel(), t.ravel())[0, 1])
    assert scores.silhouette_iou == pytest.approx(np.mean(ious), rel=1e-5)
    assert scores.foreground_depth_pearson == pytest.approx(np.mean(inside), abs=1e-4)
    assert scores.depth_pearson == pytest.approx(np.mean(whole), abs=1e-4)


def test_smaller_depth_maps_do_not_mix_with_the_background():
    mask, depth = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    mask[0, :2, :3], depth[0, :2, :3] = 1.0, 2.0
    small_mask, small_depth = at_size(mask, depth, 2)
    torch.testing.assert_close(small_mask, torch.tensor([[[1.0, 0.5], [0.0, 0.0]]]))
    torch.testing.assert_close(small_depth, torch.tensor([[[2.0, 2.0], [0.0, 0.0]]]))
