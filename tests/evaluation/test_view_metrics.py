"""Silhouettes and views against what is known of them."""

from typing import Any

import numpy as np
import pytest
import torch

from placid_kedro.embedded.networks.scorer import ImageScorer, load_scorer
from placid_kedro.errors import ShapeError
from placid_kedro.evaluation.view_metrics import feature_distance, psnr, silhouette_iou, structural_similarity


@pytest.fixture(scope="module")
def scorer(tiny_models: Any) -> ImageScorer:
    return load_scorer(tiny_models.scorer)


def pictures(seed: int = 0, size: int = 32) -> torch.Tensor:
    coarse = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)


def test_iou_of_shifted_squares() -> None:
    masks = torch.zeros(3, 2, 12, 12)
    masks[0, 0, 2:8, 2:8] = 0.9
    masks[0, 1, 2:8, 4:10] = 0.6  # shares 6 x 4 of 6 x 8
    masks[1, 0, :6] = 1.0
    masks[1, 1, 6:] = 1.0
    torch.testing.assert_close(silhouette_iou(masks[:, 0], masks[:, 1]), torch.tensor([0.5, 0.0, 1.0]))
    # The threshold decides what counts as covered.
    assert float(silhouette_iou(masks[0, 0], masks[0, 1], threshold=0.7)) == 0.0


def test_psnr_of_a_known_error() -> None:
    images = pictures() * 0.5
    torch.testing.assert_close(psnr(images + 0.1, images), torch.full((2,), 20.0), atol=1e-3, rtol=0)
    assert psnr(images, images).isinf().all()


def test_ssim_of_a_flat_change_of_brightness() -> None:
    """For two plain images SSIM is its luminance term alone."""
    a, b = 0.6, 0.3
    plain = torch.ones(1, 3, 24, 24)
    expected = (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    torch.testing.assert_close(
        structural_similarity(a * plain, b * plain),
        torch.tensor([expected]),
        atol=1e-6,
        rtol=0,
        check_dtype=False,
    )
    noisy = pictures() + 0.2 * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert (structural_similarity(noisy, pictures()) < structural_similarity(pictures(), pictures())).all()


def test_feature_distance_is_that_of_unit_features(scorer: ImageScorer) -> None:
    first, second = pictures(), pictures(seed=3)
    distance = feature_distance(scorer, first, second)
    expected = np.zeros(2)
    with torch.no_grad():
        maps = [
            (a.double().numpy(), b.double().numpy())
            for a, b in zip(scorer.feature_maps(first), scorer.feature_maps(second), strict=True)
        ]
    for a, b in maps:
        for image in range(2):
            for y in range(a.shape[2]):
                for x in range(a.shape[3]):
                    u, v = a[image, :, y, x], b[image, :, y, x]
                    # |u - v|^2 of unit vectors is 2 - 2 cos.
                    cosine = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
                    expected[image] += (2 - 2 * cosine) / (a.shape[2] * a.shape[3]) / len(maps)
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-4)
    assert feature_distance(scorer, first, first).abs().max() < 1e-9


def test_the_last_feature_map_is_what_the_embedding_is_made_of(scorer: ImageScorer) -> None:
    with torch.no_grad():
        last = scorer.trunk[-1](scorer.trunk[-2](scorer.feature_maps(pictures())[-1]))
        pooled = torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1)
        expected = torch.nn.functional.normalize(scorer.image_head(pooled), dim=-1)
        torch.testing.assert_close(scorer.embed_images(pictures()), expected)


def test_other_shapes_are_refused(scorer: ImageScorer) -> None:
    for compare in (silhouette_iou, psnr, structural_similarity, lambda a, b: feature_distance(scorer, a, b)):
        with pytest.raises(ShapeError, match="one shape"):
            compare(pictures(), pictures(size=16))
