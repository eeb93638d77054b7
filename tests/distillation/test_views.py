import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.distillation import Conditioning, Distiller, PerpNegViews, ViewEmbeddings
from placid_kedro.distillation.config import BSD, CSD, ISM, NFSD, SDS, SSD, VSD, VSDMGDA, FixedRatio
from placid_kedro.distillation.views import perp_neg
from placid_kedro.errors import ParameterError, ShapeError

FRONT, SIDE, BACK = torch.eye(3).reshape(3, 1, 3).unbind(0)  # the blend's weights can be read off


@given(st.floats(-720, 720))
def test_front_side_back_against_the_textbook_formula(azimuth):
    """Lucid and Magic style: r front + (1 - r) side up to 90 degrees, r side + (1 - r) back beyond."""
    blended = ViewEmbeddings.front_side_back(FRONT, SIDE, BACK)(torch.tensor([azimuth]))[0, 0]
    from_front = abs((torch.tensor(azimuth).item() + 180) % 360 - 180)
    if from_front <= 90:
        expected = [1 - from_front / 90, from_front / 90, 0]
    else:
        expected = [0, 2 - from_front / 90, from_front / 90 - 1]
    torch.testing.assert_close(blended, torch.tensor(expected, dtype=torch.float32), atol=1e-4, rtol=0)


@given(
    st.lists(st.integers(0, 359), min_size=1, max_size=8, unique=True),
    st.lists(st.floats(-400, 800), min_size=1, max_size=5),
)
def test_any_directions_blend_the_two_neighbours(anchors, azimuths):
    identity = torch.eye(len(anchors))[:, None]
    views = ViewEmbeddings(torch.tensor(anchors, dtype=torch.float32), identity)
    weights = views(torch.tensor(azimuths))[:, 0]
    assert (weights >= -1e-6).all() and ((weights > 1e-6).sum(1) <= 2).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(len(azimuths)))
    at_anchors = views(torch.tensor(anchors, dtype=torch.float32))[:, 0]
    torch.testing.assert_close(at_anchors, torch.eye(len(anchors)))


def test_eight_directions_meet_halfway():
    views = ViewEmbeddings(torch.arange(0, 360, 45.0), torch.arange(8.0).reshape(8, 1, 1))
    blended = views(torch.tensor([0.0, 22.5, 60.0, 337.5, -45.0])).flatten()
    torch.testing.assert_close(blended, torch.tensor([0.0, 0.5, 4 / 3, 3.5, 7.0]))


def test_refuses_ambiguous_directions():
    with pytest.raises(ParameterError, match="azimuth"):
        ViewEmbeddings(torch.tensor([0.0, 360.0]), torch.zeros(2, 1, 1))
    with pytest.raises(ShapeError, match="azimuths_deg"):
        ViewEmbeddings(torch.zeros(3), torch.zeros(2, 1, 1))


def test_perp_neg_removes_only_what_is_perpendicular():
    generator = torch.Generator().manual_seed(0)
    D = torch.randn(3, 2, 4, 4, generator=generator)
    negatives = torch.randn(3, 2, 2, 4, 4, generator=generator)
    weights = torch.tensor([[-1.0, -0.5]]).expand(3, 2)
    result = perp_neg(D, negatives, weights)
    for i in range(3):
        d = D[i].flatten().double()
        expected = d.clone()
        for n, w in zip(negatives[i], weights[i], strict=True):
            v = n.flatten().double()
            expected += w * (v - (v @ d) / (d @ d) * d)
        torch.testing.assert_close(result[i].flatten().double(), expected, rtol=1e-4, atol=1e-5)
        assert (result[i] * D[i]).sum().item() == pytest.approx((d @ d).item(), rel=1e-4)


def test_perp_neg_ignores_parallel_negatives_and_zero_guidance():
    D = torch.ones(2, 1, 2, 2)
    D[1] = 0
    result = perp_neg(D, 3 * torch.ones(2, 1, 1, 2, 2), -torch.ones(2, 1))
    torch.testing.assert_close(result, D)


def test_perp_neg_views_push_away_from_the_other_views():
    views = PerpNegViews(FRONT, SIDE, BACK)
    positive, negatives, weights = views(torch.tensor([0.0, 90.0, 180.0, -90.0, 91.0]))
    torch.testing.assert_close(positive[:4, 0], torch.stack([FRONT, SIDE, BACK, SIDE])[:, 0])
    torch.testing.assert_close(negatives[0], torch.stack([FRONT, SIDE]))
    torch.testing.assert_close(negatives[2], torch.stack([SIDE, FRONT]))
    assert (weights <= 1e-3).all()
    # no view pushes from itself, each does from the one it is mistaken for
    assert weights[0, 0].abs() < 1e-3 and weights[0, 1] < -1
    assert weights[1, 1].abs() < 1e-3 and weights[1, 0] < -1
    assert weights[2, 0] < -0.3 and weights[2, 1] < -1.5
    torch.testing.assert_close(weights[1], weights[3])
    assert torch.equal(negatives[4], torch.stack([SIDE, FRONT]))


@pytest.mark.parametrize(
    "algorithm",
    [SDS(), CSD(), ISM(), SSD(), NFSD(), BSD(), FixedRatio(), VSD(), VSDMGDA()],
    ids=lambda a: a.algorithm,
)
def test_every_algorithm_takes_view_dependent_prompts_and_perp_neg(algorithm, unet_predictor, prompts):
    generator = torch.Generator().manual_seed(0)
    front, side, back = torch.randn(3, 5, 12, generator=generator).unbind(0)
    positive, negatives, weights = PerpNegViews(front, side, back)(torch.tensor([10.0, 100.0, 200.0]))
    blended = Conditioning(positive, prompts.unconditional, prompts.negative)
    pushed = Conditioning(positive, prompts.unconditional, prompts.negative, negatives, weights)
    latents, t = torch.randn(3, 4, 8, 8, generator=generator), torch.tensor([50, 500, 900])

    def gradient(conditioning):
        distiller = Distiller.create(algorithm, unet_predictor, torch.Generator().manual_seed(1))
        return distiller(latents, conditioning, t, torch.Generator().manual_seed(2))

    with_perp_neg, without = gradient(pushed), gradient(blended)
    assert with_perp_neg.gradient.isfinite().all()
    assert not torch.allclose(with_perp_neg.gradient, without.gradient, rtol=1e-4)
    assert with_perp_neg.diagnostics.forwards == without.diagnostics.forwards + 2


def test_perp_neg_in_csd_is_perp_neg_of_the_guidance(gaussian, means):
    """CSD's gradient is w D, so with Perp-Neg it is w perp_neg(D)."""
    latents = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t, weights = torch.tensor([100, 400]), torch.tensor([[-0.7], [-1.2]], dtype=torch.float64)
    distiller = Distiller.create(CSD(), gaussian, torch.Generator())

    def D(conditioning):
        noise = torch.Generator().manual_seed(1)
        w = gaussian.schedule.s(t) ** 2
        return distiller(latents, conditioning, t, noise).gradient / w

    plain = D(means)
    towards_negative = D(Conditioning(means.negative, means.unconditional))
    pushed = Conditioning(
        means.positive, means.unconditional, perp_negatives=means.negative[:, None], perp_weights=weights
    )
    expected = perp_neg(plain, towards_negative[:, None], weights)
    torch.testing.assert_close(D(pushed), expected, rtol=1e-5, atol=1e-6)


def test_perp_neg_needs_both_halves(means):
    with pytest.raises(ParameterError, match="perp_weights"):
        Conditioning(means.positive, means.unconditional, perp_negatives=means.negative[:, None])
