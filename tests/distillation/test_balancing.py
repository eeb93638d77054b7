import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from placid_kedro.distillation import balance
from placid_kedro.errors import ParameterError, ShapeError

components = st.floats(-1e3, 1e3, allow_nan=False)
guidances = arrays("float64", (3, 2, 4), elements=components).map(torch.from_numpy)
lams = st.floats(0.01, 100)


def _squared(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).square().sum(1)


def _norm(x: torch.Tensor) -> torch.Tensor:
    """Also of numbers whose squares vanish."""
    largest = x.flatten(1).abs().amax(1)
    scale = torch.where(largest > 0, largest, 1.0)
    return scale * _squared(x / scale[:, None, None]).sqrt()


def _dot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x * y).flatten(1).sum(1)


@given(guidances, guidances, lams)
def test_direction_never_opposes_a_guidance(cg, sg, lam):
    _, direction = balance(cg, sg, lam)
    for guidance in (cg, sg):
        rounding = 1e-9 * _norm(guidance) * torch.hypot(lam * _norm(cg), _norm(sg))
        assert (_dot(direction, guidance) >= -rounding).all()


@given(guidances, guidances, lams, st.floats(1e-12, 1e12))
def test_direction_never_opposes_a_guidance_in_float32_of_any_size(cg, sg, lam, size):
    cg, sg = (cg * size).float(), (sg * size).float()
    _, direction = balance(cg, sg, lam)
    assert direction.dtype == torch.float32
    cg, sg, direction = cg.double(), sg.double(), direction.double()
    for guidance in (cg, sg):
        rounding = 1e-5 * (_squared(guidance) * (lam**2 * _squared(cg) + _squared(sg))).sqrt() + 1e-30
        assert (_dot(direction, guidance) >= -rounding).all()


@given(guidances, guidances, lams)
def test_alpha_minimises_equation_20(cg, sg, lam):
    alpha, direction = balance(cg, sg, lam)
    assert ((alpha >= 0) & (alpha <= 1)).all()
    searched = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None, None, None]
    best = (
        (searched[..., None] * lam * cg + (1 - searched[..., None]) * sg).square().sum((-1, -2)).amin((0, 1))
    )
    best = best.reshape(-1)
    scale = lam**2 * _squared(cg) + _squared(sg)
    # Nothing that the search finds is shorter, and the search comes as near as its grid of 1/2000 allows.
    assert (_squared(direction) <= best + 1e-9 * scale).all()
    assert (best <= _squared(direction) + 1e-6 * scale).all()


@given(guidances, lams)
def test_equal_guidances_keep_their_direction(sg, lam):
    alpha, direction = balance(sg / lam, sg, lam)
    torch.testing.assert_close(direction, sg, rtol=1e-9, atol=1e-9)
    assert alpha.isfinite().all()


def test_exactly_equal_guidances_take_the_middle():
    sg = torch.tensor([[3.0, 4.0]])
    alpha, direction = balance(sg, sg, 1.0)
    assert alpha.item() == 0.5
    torch.testing.assert_close(direction, sg)


@given(guidances, st.floats(0.1, 10), lams)
def test_opposite_guidances_leave_nothing(sg, ratio, lam):
    _, direction = balance(-ratio * sg, sg, lam)
    assert (direction == 0).all()
    _, direction = balance((-ratio * sg).float(), sg.float(), lam)
    assert (direction == 0).all()


@given(guidances, lams)
def test_a_zero_guidance_gives_a_zero_direction(guidance, lam):
    zero = torch.zeros_like(guidance)
    for cg, sg in ((zero, guidance), (guidance, zero), (zero, zero)):
        alpha, direction = balance(cg, sg, lam)
        assert (direction == 0).all()
        assert alpha.isfinite().all()


def test_orthogonal_guidances_in_closed_form():
    # alpha = |sg|^2 / (|sg|^2 + lam^2 |cg|^2): the foot of the perpendicular on the hypotenuse.
    cg, sg = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    alpha, direction = balance(cg, sg, 4.0)
    assert alpha.item() == pytest.approx(4 / 20)
    torch.testing.assert_close(direction, torch.tensor([[0.8, 1.6]]))


@given(guidances, guidances, lams, st.floats(0.1, 10))
def test_lam_only_scales_the_classifier_guidance(cg, sg, lam, factor):
    """lam k does what k does to cg; k on both guidances gives k times the direction."""
    _, direction = balance(cg, sg, lam * factor)
    tolerance = {"rtol": 1e-7, "atol": 1e-7}
    torch.testing.assert_close(balance(cg * factor, sg, lam)[1], direction, **tolerance)
    _, scaled = balance(cg * factor, sg * factor, lam)
    _, same = balance(cg, sg, lam)
    torch.testing.assert_close(scaled, factor * same, **tolerance)


@given(guidances, guidances)
def test_limits_in_lam(cg, sg):
    """A vanishing lam leaves only the classifier guidance, an endless one only the smoothing one."""
    ordinary = (_squared(cg) > 1e-2) & (_squared(sg) > 1e-2)
    alpha_small, _ = balance(cg, sg, 1e-9)
    alpha_large, _ = balance(cg, sg, 1e9)
    assert (alpha_small[ordinary] > 1 - 1e-3).all()
    assert (alpha_large[ordinary] < 1e-3).all()


def test_samples_are_balanced_on_their_own():
    generator = torch.Generator().manual_seed(3)
    cg, sg = torch.randn(2, 5, 4, 8, 8, generator=generator).unbind(0)
    together = balance(cg, sg, 25.0)
    for i in range(5):
        alone = balance(cg[i : i + 1], sg[i : i + 1], 25.0)
        torch.testing.assert_close(together[0][i : i + 1], alone[0])
        torch.testing.assert_close(together[1][i : i + 1], alone[1])


def test_half_precision_is_balanced_in_float32():
    generator = torch.Generator().manual_seed(3)
    cg, sg = (torch.randn(2, 2, 4, 64, 64, generator=generator) * 100).half().unbind(0)
    alpha, direction = balance(cg, sg, 25.0)
    expected, _ = balance(cg.double(), sg.double(), 25.0)
    assert alpha.dtype == torch.float32 and direction.dtype == torch.float16
    torch.testing.assert_close(alpha.double(), expected, rtol=1e-5, atol=1e-7)


def test_a_far_longer_guidance_is_weighed_exactly():
    """Orthogonal, lengths 1 and 1e4: 1 - alpha is 1e-8, below float32's spacing at 1."""
    cg, sg = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1e4]])
    alpha, direction = balance(cg, sg, 1.0)
    assert alpha.item() == 1
    torch.testing.assert_close(direction, torch.tensor([[1.0, 1e-4]]))


def test_nan_is_passed_on():
    alpha, direction = balance(torch.tensor([[float("nan"), 1.0], [1.0, 1.0]]), torch.ones(2, 2), 2.0)
    assert alpha.isnan().tolist() == [True, False]
    assert direction[0].isnan().all() and direction[1].isfinite().all()


@pytest.mark.parametrize("lam", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_lam(lam):
    with pytest.raises(ParameterError, match="lam"):
        balance(torch.ones(1, 2), torch.ones(1, 2), lam)


def test_refuses_different_shapes():
    with pytest.raises(ShapeError, match="share a shape"):
        balance(torch.ones(1, 2), torch.ones(2, 2), 1.0)
