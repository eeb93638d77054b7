"""Puts a LatentPlane into any diffusers UNet by a hook, and takes it out again (Sec. 4.2)."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from placid_kedro.diffusion.networks import HasParts
from placid_kedro.errors import ModelError, ShapeError
from placid_kedro.latent_plane.inputs import PlaneInputs
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.presets import Action, Branches, CallPlan, always_render


def decoder_block(unet: HasParts) -> str:
    """Name of the decoder block that the paper chooses: highest resolution, then smallest index.

    A block's resolution is that of its output; every block with an upsampler doubles it. For Zero-1-to-3 this
    is `up_blocks.2`.

    Raises:
        ModelError: for a model without `up_blocks`.
    """
    blocks = getattr(unet, "up_blocks", None)
    if not blocks:
        raise ModelError(
            f"{type(unet).__name__} has no up_blocks; name the block whose output Latent-Plane is to enhance."
        )
    doublings = 0
    best = (0, -1)
    for index, block in enumerate(blocks):
        doublings += bool(getattr(block, "upsamplers", None))
        if index == 0 or doublings > best[1]:
            best = (index, doublings)
    return f"up_blocks.{best[0]}"


class LatentPlaneAttachment:
    """A LatentPlane in a UNet for as long as the `with` block lasts.

    The UNet's batch holds B objects of N views each, one object after the other; with guidance the batch is
    twice as long, the unconditional half first, as diffusers' pipelines lay it out.

        plan = policy.plan(len(scheduler.timesteps))
        with LatentPlaneAttachment(unet, plane, plan, guided=True, branches=policy.branches) as attachment:
            for t in scheduler.timesteps:
                noise = unet(...)
        inputs = attachment.inputs

    Args:
        unet: any diffusers UNet, or another model with a `time_embedding` module.
        plane: the Latent-Plane; its views are the batch's.
        plan: what the plane does in each call of the UNet.
        block: name of the module whose output is enhanced; default the plane's own, or `decoder_block(unet)`.
        guided: whether the batch holds both guidance branches.
        branches: which branches are enhanced where there are two, see `SamplingPolicy`.
        silhouette: [B, sH, sW] of the B objects, see `PlaneInputs`; a plane that reads none does not look at it.

    Attributes:
        inputs: what the plane received in the last call that the plan records (of the conditional branch), detached,
            or None.
        occupancy: [B, N, 1, H, W] of the last enhanced call (conditional branch), detached, or None.

    Raises:
        ModelError: when the UNet has no such block, no time embedding, or ones of other widths.
    """

    def __init__(
        self,
        unet: HasParts,
        plane: LatentPlane,
        plan: CallPlan = always_render,
        *,
        block: str | None = None,
        guided: bool = False,
        branches: Branches = "conditional",
        silhouette: Tensor | None = None,
    ) -> None:
        self.block = block or plane.block or decoder_block(unet)
        self._module = find_module(unet, self.block)
        self._time_embedding = find_module(unet, "time_embedding")
        _check_widths(unet, self.block, self._module, self._time_embedding, plane)
        self.inputs: PlaneInputs | None = None
        self.occupancy: Tensor | None = None
        self._plane = plane
        self._plan = plan
        self._guided = guided
        self._branches: Branches = branches
        self._silhouette = silhouette if plane.silhouette_factor else None
        self._calls = 0
        self._t_emb: Tensor | None = None
        self._rendered: dict[int, tuple[Tensor, Tensor]] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> LatentPlaneAttachment:
        self._calls = 0
        self._handles = [
            self._time_embedding.register_forward_hook(self._keep_time_embedding),
            self._module.register_forward_hook(self._enhance),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the plane out; the UNet is as it was. What was recorded stays."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._t_emb = None
        self._rendered = {}

    def _keep_time_embedding(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self._t_emb = output

    def _enhance(self, module: nn.Module, args: Any, output: Any) -> Any:
        planned = self._plan(self._calls)
        self._calls += 1
        features = output[0] if isinstance(output, tuple) else output
        halves = self._split(features)
        t_embs = self._time_embeddings(features.shape[0])
        inputs = [PlaneInputs(half, t, self._silhouette) for half, t in zip(halves, t_embs, strict=True)]
        if planned.records:
            self.inputs = inputs[-1].detach()
        if planned.action is Action.WATCH:
            return None
        conditional = len(halves) - 1
        enhanced = list(halves)
        for index in range(len(halves)) if self._branches == "both" else (conditional,):
            enhanced[index] = self._enhance_branch(index, inputs[index], planned.action)
        if self._branches == "shared":
            change = enhanced[conditional] - halves[conditional]
            enhanced[:conditional] = [half + change for half in halves[:conditional]]
        self.occupancy = self._rendered[conditional][1]
        merged = torch.stack(enhanced).reshape(features.shape)
        return (merged, *output[1:]) if isinstance(output, tuple) else merged

    def _enhance_branch(self, index: int, inputs: PlaneInputs, action: Action) -> Tensor:
        """[B, N, C, H, W] of one branch, with maps rendered now or kept from before."""
        if action is Action.RENDER or index not in self._rendered:
            result = self._plane.enhance(inputs)
            self._rendered[index] = (result.rendered.detach(), result.occupancy.detach())
            return result.features
        return self._plane.combine(inputs.features, *self._rendered[index]).to(inputs.features.dtype)

    def _split(self, features: Any) -> Tensor:
        """[G, B, N, C, H, W] the branches of the block's output."""
        views, branches = len(self._plane.cameras), 2 if self._guided else 1
        if not isinstance(features, Tensor) or features.dim() != 4:
            raise ShapeError(f"{self.block} must put out a feature map [batch, C, H, W] to be enhanced.")
        if features.shape[0] % (views * branches):
            raise ShapeError(
                f"The batch must hold {branches} branch(es) of whole objects of {views} views, "
                f"got {features.shape[0]} feature maps."
            )
        return features.reshape(branches, -1, views, *features.shape[1:])

    def _time_embeddings(self, batch: int) -> Tensor:
        """[G, B, E] the branches' time embeddings; an object's views share theirs."""
        if self._t_emb is None:
            raise ModelError("The UNet ran its decoder without its time_embedding, which Latent-Plane reads.")
        views, branches = len(self._plane.cameras), 2 if self._guided else 1
        t_emb = self._t_emb.expand(batch, -1)
        return t_emb.reshape(branches, -1, views, t_emb.shape[-1])[:, :, 0]


def find_module(unet: HasParts, name: str) -> nn.Module:
    """A part of a UNet by its name.

    Raises:
        ModelError: there is none.
    """
    try:
        return unet.get_submodule(name)
    except AttributeError as error:
        raise ModelError(
            f"{type(unet).__name__} has no module {name!r}, which Latent-Plane needs."
        ) from error


def _check_widths(
    unet: HasParts, name: str, block: nn.Module, time_embedding: nn.Module, plane: LatentPlane
) -> None:
    resnets = getattr(block, "resnets", None)
    channels = getattr(resnets[-1], "out_channels", None) if resnets else None
    if channels is not None and channels != plane.feature_channels:
        raise ModelError(
            f"{name} of {type(unet).__name__} puts out {channels} channels, "
            f"but this Latent-Plane was made for {plane.feature_channels}."
        )
    width = getattr(getattr(time_embedding, "linear_2", None), "out_features", None)
    if width is not None and width != plane.time_embedding_dim:
        raise ModelError(
            f"{type(unet).__name__}'s time embedding has {width} values, "
            f"but this Latent-Plane was made for {plane.time_embedding_dim}."
        )
