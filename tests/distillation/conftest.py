"""Analytic and tiny networks that stand for a diffusion model."""

from dataclasses import dataclass, replace

import pytest
import torch
from diffusers import UNet2DConditionModel

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.distillation.interface import Conditioning
from placid_kedro.distillation.predictor import NoisePredictor
from placid_kedro.splats import Gaussians
from placid_kedro.surface.point_clouds import sphere
from tests.distillation.algorithms_case import exact_noise, seeded
from tests.distillation.splats_case import RED, picture


@dataclass
class GaussianNetwork:
    """The exact noise predictor of data N(mean, std^2), the embedding [B,1,C*h*w] being the mean.

    E[e | x_t] = s_t (x_t - a_t mean) / (a_t^2 std^2 + s_t^2).
    """

    schedule: NoiseSchedule
    std: float = 0.3
    evaluations: int = 0
    calls: int = 0

    def __call__(self, x_t, t, encoder_hidden_states, return_dict, **extra):
        self.calls += 1
        self.evaluations += len(x_t)
        a, s = self.schedule.a(t), self.schedule.s(t)
        mean = encoder_hidden_states.reshape(x_t.shape)
        e = s * (x_t - a * mean) / (a**2 * self.std**2 + s**2)
        return (self.schedule.target((x_t - s * e) / a, e, t),)


def scaled_linear(dtype=torch.float32) -> torch.Tensor:
    """The levels of Stable Diffusion."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0).to(dtype)


@pytest.fixture
def schedule() -> NoiseSchedule:
    return NoiseSchedule(scaled_linear(torch.float64))


@pytest.fixture
def gaussian(schedule) -> NoisePredictor:
    return NoisePredictor(GaussianNetwork(schedule), schedule)


@pytest.fixture(scope="module")
def target(ball: Gaussians) -> torch.Tensor:
    """[3, H, W] the ball in red."""
    red = Gaussians.from_points(ball.means, RED.expand(300, 3), opacity=0.8)
    return picture(replace(ball, sh0=red.sh0))


@pytest.fixture
def means() -> Conditioning:
    """Means of the prompt's, the empty and the negative prompt's distribution, for latents [2,3,4,4]."""
    drawn = torch.randn(3, 2, 1, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    return Conditioning(drawn[0], 0.2 * drawn[1], negative=0.5 * drawn[2])


@pytest.fixture
def unet(make_unet) -> UNet2DConditionModel:
    torch.manual_seed(0)
    return make_unet(cross_attention_dim=12).eval()


@pytest.fixture
def unet_predictor(unet) -> NoisePredictor:
    return NoisePredictor(unet, NoiseSchedule(scaled_linear(), "v_prediction"))


@pytest.fixture
def prompts() -> Conditioning:
    """Random embeddings [3,5,12] with everything an algorithm may ask for."""
    drawn = torch.randn(3, 3, 5, 12, generator=torch.Generator().manual_seed(1))
    cameras = torch.eye(4).flatten().repeat(3, 1)
    return Conditioning(drawn[0], drawn[1], negative=drawn[2], camera=cameras)


@pytest.fixture(scope="session")
def ball() -> Gaussians:
    """A grey ball: it looks the same from all round."""
    cloud = sphere(300, 0.35, torch.Generator().manual_seed(0))
    return Gaussians.from_points(cloud.points, cloud.colors, normals=cloud.normals, opacity=0.8)


@pytest.fixture
def latents():
    return torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=seeded(7))


@pytest.fixture
def t():
    return torch.tensor([50, 600])


@pytest.fixture
def parts(gaussian, means, latents, t):
    """e_c, e_u, e_neg, e, a, s at the x_t that seed 0 leads to, each worked out here."""
    # The noise is drawn in float32, so that float64 latents see the same noise.
    e = torch.randn(latents.shape, generator=seeded(0)).double()
    levels = gaussian.schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1)
    a, s = levels.sqrt(), (1 - levels).sqrt()
    x_t = a * latents + s * e
    noises = [
        exact_noise(gaussian.network, x_t, t, mean)
        for mean in (means.positive, means.unconditional, means.negative)
    ]
    return *noises, e, a, s
