"""The plane in diffusers UNets of several kinds."""

from __future__ import annotations

import os

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel
from torch import nn

from placid_kedro.cameras import multiview_cameras, orbit
from placid_kedro.errors import ModelError, ShapeError
from placid_kedro.latent_plane import LatentPlane, LatentPlaneAttachment, decoder_block
from placid_kedro.latent_plane.presets import Action, PlannedCall, only_watch
from placid_kedro.latent_plane.training.losses import render_density
from placid_kedro.latent_plane.training.recipe import make_plane

# Zero-1-to-3 XL's unet/config.json, the entries that differ from diffusers' defaults.
ZERO123 = {
    "sample_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
PLANE = {
    "token_channels": 4,
    "num_heads": 2,
    "density_head_dim": 4,
    "feature_head_dim": 4,
    "samples_per_ray": 4,
}


def small_unet(**config) -> UNet2DConditionModel:
    torch.manual_seed(1)
    settings = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (32, 64),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    return UNet2DConditionModel(**{**settings, **config}).eval()


def plane_for(channels: int, time: int, num_views: int = 8) -> LatentPlane:
    torch.manual_seed(2)
    ring = multiview_cameras(azimuths_deg=[360 * i / num_views for i in range(num_views)])
    return LatentPlane(channels, time, ring, **PLANE).eval()


def batch(count: int, channels: int = 4, size: int = 8, width: int = 16):
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(count, channels, size, size, generator=generator),
        torch.randn(count, 5, width, generator=generator),
    )


@pytest.mark.parametrize(
    ("channels", "expected", "width"),
    [((32, 64), "up_blocks.0", 64), ((64, 128, 224), "up_blocks.1", 128), ((32,), "up_blocks.0", 32)],
)
def test_rule_takes_the_first_block_of_the_highest_resolution(channels, expected, width):
    down = ("DownBlock2D",) * len(channels)
    unet = small_unet(
        block_out_channels=channels, down_block_types=down, up_block_types=("UpBlock2D",) * len(channels)
    )
    assert decoder_block(unet) == expected
    shapes = []
    handle = unet.get_submodule(expected).register_forward_hook(lambda *a: shapes.append(a[2].shape))
    sample, states = batch(2)
    unet(sample, 3, states)
    handle.remove()
    assert shapes == [(2, width, 8, 8)]


def test_zero123_takes_up_block_2():
    with init_empty_weights():
        unet = UNet2DConditionModel(**ZERO123)
    assert decoder_block(unet) == "up_blocks.2"
    plane = plane_for(640, 1280)
    attachment = LatentPlaneAttachment(unet, plane)
    assert attachment.block == "up_blocks.2"
    with pytest.raises(ModelError, match=r"up_blocks\.3 .* 320 channels, .* made for 640"):
        LatentPlaneAttachment(unet, plane, block="up_blocks.3")
    # Shapes flow without memory on the meta device.
    unet.to("meta")
    seen = []
    unet.up_blocks[2].register_forward_hook(lambda *a: seen.append(a[2].shape))
    unet.time_embedding.register_forward_hook(lambda *a: seen.append(a[2].shape))
    unet(torch.zeros(8, 8, 32, 32, device="meta"), torch.tensor(5), torch.zeros(8, 1, 768, device="meta"))
    assert seen == [(8, 1280), (8, 640, 32, 32)]


@pytest.mark.skipif(
    not os.environ.get("PLACID_LARGE_TESTS"), reason="6 GiB and minutes; set PLACID_LARGE_TESTS=1"
)
def test_zero123_xl_in_full_size():
    """860 million random weights, eight views of 32 x 32 latents, the paper's plane."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**ZERO123).eval().requires_grad_(False)
    plane = LatentPlane.from_preset("paper", feature_channels=640, time_embedding_dim=1280).eval()
    sample, states = batch(8, channels=8, size=32, width=768)
    with torch.no_grad():
        plain = unet(sample, 500, states[:, :1]).sample
        with LatentPlaneAttachment(unet, plane) as attachment:
            enhanced = unet(sample, 500, states[:, :1]).sample
    assert not any(module._forward_hooks for module in unet.modules())
    assert attachment.inputs.features.shape == (1, 8, 640, 32, 32)
    assert attachment.occupancy.shape == (1, 8, 1, 32, 32)
    assert enhanced.isfinite().all() and (enhanced - plain).abs().max() > 1e-4


def test_views_may_stand_anywhere():
    """Four views as MVDream places them, but each at another height, distance and focal length."""
    cameras = orbit([0, 90, 180, 270], [15, -5, 40, 0], [1.5, 1.8, 2.0, 1.4], focal=300.0, size=256)
    unet = small_unet()
    plane = LatentPlane(64, 128, cameras, **PLANE).eval()
    sample, states = batch(8)
    with torch.no_grad():
        plain = unet(sample, 10, states).sample
        with LatentPlaneAttachment(unet, plane, guided=True) as attachment:
            enhanced = unet(sample, 10, states).sample
    assert torch.equal(enhanced[:4], plain[:4]) and (enhanced[4:] - plain[4:]).abs().max() > 1e-3
    # The field is the same from wherever it is seen: a view's occupancy is that of its camera.
    inputs, own = attachment.inputs, cameras.resized(8, 8)
    with torch.no_grad():
        render = render_density(plane, inputs[0], own)
    torch.testing.assert_close(attachment.occupancy[0, :, 0], render.occupancy, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("num_views", [4, 8, 16])
def test_changes_the_output_and_comes_off_without_a_trace(num_views):
    unet, plane = small_unet(), plane_for(64, 128, num_views)
    sample, states = batch(2 * num_views)
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    with torch.no_grad():
        plain = unet(sample, 10, states).sample
        with LatentPlaneAttachment(unet, plane) as attachment:
            enhanced = unet(sample, 10, states).sample
        with LatentPlaneAttachment(unet, plane, only_watch):
            assert torch.equal(unet(sample, 10, states).sample, plain)
        assert torch.equal(unet(sample, 10, states).sample, plain)
    assert (enhanced - plain).abs().max() > 1e-3
    assert all(torch.equal(unet.state_dict()[name], value) for name, value in before.items())
    assert not any(module._forward_hooks for module in unet.modules())
    assert attachment.inputs.features.shape == (2, num_views, 64, 8, 8)
    assert attachment.inputs.t_emb.shape == (2, 128)
    assert attachment.occupancy.shape == (2, num_views, 1, 8, 8)


def test_is_what_replacing_the_blocks_output_by_hand_gives():
    """Eq. 9 by hand: the decoder run in two halves around the plane, without a hook."""

    class Spliced(nn.Module):
        def __init__(self, block, plane, time):
            super().__init__()
            self.block, self.plane, self.time = block, plane, time
            self.resnets, self.has_cross_attention = block.resnets, block.has_cross_attention

        def forward(self, *args, **kwargs):
            return self.plane(self.block(*args, **kwargs), self.time)[0]

    unet, plane = small_unet(), plane_for(64, 128)
    sample, states = batch(8)
    with torch.no_grad():
        with LatentPlaneAttachment(unet, plane):
            hooked = unet(sample, 10, states).sample
        time = unet.time_embedding(unet.time_proj(torch.tensor([10])))[0]
        unet.up_blocks[0] = Spliced(unet.up_blocks[0], plane, time)
        torch.testing.assert_close(hooked, unet(sample, 10, states).sample)


def test_kept_maps_are_combined_with_the_new_features():
    unet, plane = small_unet(), plane_for(64, 128)
    sample, states = batch(16)
    with torch.no_grad():
        actions = [Action.RENDER, Action.REUSE, Action.REUSE, Action.RENDER]
        plan = [PlannedCall(action, records=False) for action in actions].__getitem__
        with LatentPlaneAttachment(unet, plane, plan, guided=True, branches="both"):
            unet(sample, 500, states)
            first = unet(sample, 500, states).sample
            later = unet(sample + 0.1, 480, states).sample
            renewed = unet(sample + 0.1, 480, states).sample
        # By hand: Eq. 9 with the maps of the first call.
        kept = []
        with LatentPlaneAttachment(unet, plane, guided=True, branches="both"):
            expected_first = unet(sample, 500, states).sample
        for half in (slice(8), slice(8, 16)):
            with LatentPlaneAttachment(unet, plane) as attachment:
                unet(sample[half], 500, states[half])
                seen = attachment.inputs
            kept.append(plane.enhance(seen).rendered[0])
        handle = unet.up_blocks[0].register_forward_hook(lambda module, args, out: out + torch.cat(kept))
        expected = unet(sample + 0.1, 480, states).sample
        handle.remove()
    torch.testing.assert_close(first, expected_first, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(later, expected, atol=1e-5, rtol=1e-4)
    assert (renewed - later).abs().max() > 1e-3


def test_guidance_branches():
    unet, plane = small_unet(), plane_for(64, 128)
    sample, states = batch(16)
    with torch.no_grad():
        plain = unet(sample, 10, states).sample
        with LatentPlaneAttachment(unet, plane, guided=True, branches="conditional") as attachment:
            conditional = unet(sample, 10, states).sample
            kept = attachment.inputs.features
        with LatentPlaneAttachment(unet, plane, guided=True, branches="both") as attachment:
            both = unet(sample, 10, states).sample
        with LatentPlaneAttachment(unet, plane):
            alone = unet(sample[8:], 10, states[8:]).sample
        with LatentPlaneAttachment(unet, plane, guided=True, branches="shared") as attachment:
            shared = unet(sample, 10, states).sample
        seen = attachment.inputs
        change = plane.enhance(seen).features[0] - seen.features[0]
        handle = unet.up_blocks[0].register_forward_hook(
            lambda module, args, out: out + change.repeat(2, 1, 1, 1)
        )
        by_hand = unet(sample, 10, states).sample
        handle.remove()
    torch.testing.assert_close(conditional[:8], plain[:8])
    torch.testing.assert_close(conditional[8:], alone)
    torch.testing.assert_close(both[8:], alone)
    torch.testing.assert_close(shared, by_hand, atol=1e-5, rtol=1e-4)
    assert (shared[:8] - plain[:8]).abs().max() > 1e-3
    assert (both[:8] - plain[:8]).abs().max() > 1e-3
    assert kept.shape[0] == 1
    torch.testing.assert_close(kept, attachment.inputs.features)


def test_time_embedding_is_the_objects_own_without_the_prompts_share():
    """Objects may stand at different timesteps; an added text embedding is not what the plane reads."""
    unet = small_unet(addition_embed_type="text", addition_embed_type_num_heads=4, encoder_hid_dim=None)
    plane = plane_for(64, 128)
    sample, states = batch(16)
    timesteps = torch.tensor([10] * 8 + [700] * 8)
    with torch.no_grad(), LatentPlaneAttachment(unet, plane) as attachment:
        unet(sample, timesteps, states)
        expected = unet.time_embedding(unet.time_proj(torch.tensor([10, 700])))
    torch.testing.assert_close(attachment.inputs.t_emb, expected)


def test_recorded_inputs_give_the_density_field_afterwards():
    unet, plane = small_unet(), plane_for(64, 128)
    sample, states = batch(8)
    points = torch.rand(5, 3, generator=torch.Generator().manual_seed(4)) - 0.5
    with torch.no_grad():
        with LatentPlaneAttachment(unet, plane) as attachment:
            unet(sample, 10, states)
        inputs = attachment.inputs
        sigma = plane.density(inputs.features[0], inputs.t_emb[0], points)
        block = []
        handle = unet.up_blocks[0].register_forward_hook(lambda *a: block.append(a[2]))
        unet(sample, 10, states)
        handle.remove()
        time = unet.time_embedding(unet.time_proj(torch.tensor([10])))[0]
        torch.testing.assert_close(sigma, plane.density(block[0], time, points))


def test_gradients_reach_the_plane_through_a_frozen_unet():
    unet, plane = small_unet().requires_grad_(False), plane_for(64, 128)
    sample, states = batch(8)
    with LatentPlaneAttachment(unet, plane):
        unet(sample, 10, states).sample.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in plane.parameters())
    assert all(p.grad is None for p in unet.parameters())


def test_a_hook_is_taken_off_when_the_unet_fails():
    unet, plane = small_unet(), plane_for(64, 128)
    sample, states = batch(7)
    with (
        pytest.raises(ShapeError, match="whole objects of 8 views, got 7"),
        LatentPlaneAttachment(unet, plane),
    ):
        unet(sample, 10, states)
    assert not any(module._forward_hooks for module in unet.modules())


def test_a_plane_keeps_the_block_that_it_was_made_for(tmp_path):
    unet = small_unet()
    ring = multiview_cameras(azimuths_deg=[0.0, 180.0])
    assert make_plane(unet, ring, 0, **PLANE).feature_channels == 64
    plane = make_plane(unet, ring, 0, block="up_blocks.1", **PLANE)
    assert plane.feature_channels == 32
    plane.save_pretrained(tmp_path)
    plane = LatentPlane.from_pretrained(tmp_path)
    assert LatentPlaneAttachment(unet, plane).block == "up_blocks.1"
    with pytest.raises(ModelError, match=r"up_blocks\.0 .* 64 channels, .* made for 32"):
        LatentPlaneAttachment(unet, plane, block="up_blocks.0")
    with pytest.raises(ModelError, match=r"no module 'up_blocks\.7'"):
        make_plane(unet, ring, 0, block="up_blocks.7", **PLANE)


def test_unfit_models_are_named():
    plane = plane_for(64, 128)
    with pytest.raises(ModelError, match="no up_blocks"):
        LatentPlaneAttachment(nn.Linear(2, 2), plane)
    with pytest.raises(ModelError, match=r"no module 'decoder\.3'"):
        LatentPlaneAttachment(small_unet(), plane, block="decoder.3")
    with pytest.raises(ModelError, match=r"128 values, .* made for 96"):
        LatentPlaneAttachment(small_unet(), plane_for(64, 96))
    with pytest.raises(ModelError, match="time_embedding"):
        LatentPlaneAttachment(nn.Sequential(nn.Linear(2, 2)), plane, block="0")
