"""The Latent-Plane module (Sec. 4.2): its weights, and what it makes of feature maps. The equations are in
`placid_kedro.latent_plane.reference`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from placid_kedro.cameras import Cameras, cameras_from_config, cameras_to_config, multiview_cameras
from placid_kedro.cameras.rays import MissedRays
from placid_kedro.errors import ModelError, ShapeError
from placid_kedro.latent_plane.combinations import COMBINATIONS, Combination
from placid_kedro.latent_plane.evaluation.fast import FastEvaluator, texels
from placid_kedro.latent_plane.evaluation.interface import PlaneEvaluator
from placid_kedro.latent_plane.evaluation.rays import ViewRays, make_view_rays
from placid_kedro.latent_plane.evaluation.settings import Evaluation
from placid_kedro.latent_plane.extensions.settings import Extensions
from placid_kedro.latent_plane.extensions.silhouette import (
    FineDetail,
    SilhouetteHead,
    signed_coverage,
    silhouette_texels,
)
from placid_kedro.latent_plane.geometry import bilinear_taps, harmonic_embedding
from placid_kedro.latent_plane.inputs import ObjectInputs, PlaneInputs
from placid_kedro.latent_plane.plane_config import check_plane_config
from placid_kedro.latent_plane.presets import preset
from placid_kedro.latent_plane.reference import ReferenceEvaluator
from placid_kedro.latent_plane.transformer import TokenTransformer

# Where saved planes once had settings that now stand in `Evaluation` and `Extensions`.
_FORMER_SETTINGS = ("block_size", "density_refinement")


@dataclass(frozen=True)
class PlaneOutput:
    """What the plane makes of the feature maps of B objects.

    Attributes:
        features: [B, N, C, H, W] enhanced.
        rendered: [B, N, C, H, W] what was combined with the original ones.
        occupancy: [B, N, 1, H, W] in [0, 1].
        depth: [B, N, 1, H, W] expected depth, not divided by the occupancy.
    """

    features: Tensor
    rendered: Tensor
    occupancy: Tensor
    depth: Tensor


class LatentPlane(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Enhances the feature maps of N views of one object through a shared density field.

    Args:
        feature_channels: C of the UNet's feature maps.
        time_embedding_dim: E of the UNet's time embedding.
        cameras: the N views; default the paper's eight. K belongs to the cameras' own image size and is
            scaled to the feature maps'. A dict is what a saved config holds.
        token_channels: width of a density token's feature part, of the trainable embedding and of the time
            feature.
        num_octaves: octaves of the camera and coordinate embeddings.
        num_layers: attention layers of either part.
        num_heads: attention heads of either part.
        density_head_dim: width of a head of the density part.
        feature_head_dim: width of a head of the feature part.
        samples_per_ray: points on a ray.
        share_layers: one set of weights for the layers of a part.
        combination: "add" (paper) or "blend" (authors' code).
        missed_rays: "empty" or "crossed" (authors' code), see `sample_rays`.
        block: name of the UNet's module whose output it enhances; None for the paper's choice (`decoder_block`).
        extensions: of the embedded model, none by default. A dict is what a saved config holds.
        evaluation: how exactly and how fast it is evaluated; by default exactly. A dict likewise.

    Raises:
        ParameterError: for sizes below one, a grid of one point or an unknown combination.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        feature_channels: int = 640,
        time_embedding_dim: int = 1280,
        cameras: Cameras | dict[str, Any] | None = None,
        token_channels: int = 32,
        num_octaves: int = 10,
        num_layers: int = 2,
        num_heads: int = 8,
        density_head_dim: int = 8,
        feature_head_dim: int = 32,
        samples_per_ray: int = 32,
        share_layers: bool = False,
        combination: Combination = "add",
        missed_rays: MissedRays = "empty",
        block: str | None = None,
        extensions: Extensions | dict[str, Any] | None = None,
        evaluation: Evaluation | dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(cameras, dict):
            cameras = cameras_to_config(multiview_cameras() if cameras is None else cameras)
        self.cameras = cameras_from_config(cameras)
        self.extensions = Extensions.model_validate(extensions or {})
        self.evaluation = Evaluation.model_validate(evaluation or {})
        self.register_to_config(
            cameras=cameras, extensions=self.extensions.model_dump(), evaluation=self.evaluation.model_dump()
        )
        check_plane_config(self.config)
        self.combine = COMBINATIONS[combination]
        self.feature_channels = feature_channels
        self.time_embedding_dim = time_embedding_dim
        self.num_octaves = num_octaves
        self.samples_per_ray = samples_per_ray
        self.missed_rays: MissedRays = missed_rays
        self.block = block
        self.gradient_checkpointing = False
        embedding_dim = 3 * (1 + 2 * num_octaves)
        width = token_channels + 2 * embedding_dim
        self.sigma_embedding = nn.Parameter(torch.randn(token_channels))
        self.feature_projection = nn.Linear(feature_channels, token_channels)
        self.refinement = _refinement(self.extensions, feature_channels, token_channels)
        self.time_projection = nn.Linear(time_embedding_dim, token_channels)
        self.sigma_token = nn.Linear(2 * token_channels, width)
        self.density_transformer = TokenTransformer(
            token_channels, embedding_dim, num_heads, density_head_dim, num_layers, share_layers
        )
        self.sigma_head = nn.Linear(width, 1)
        self.silhouette_head = SilhouetteHead() if self.silhouette_factor else None
        self.feature_transformer = TokenTransformer(
            feature_channels, embedding_dim, num_heads, feature_head_dim, num_layers, share_layers
        )
        self._view_rays: dict[tuple[int, int, torch.device], ViewRays] = {}

    @classmethod
    def from_preset(cls, name: str, **config: Any) -> LatentPlane:
        """A new plane with the "paper"'s or the "official" settings, which `config` may override."""
        chosen = preset(name)
        settings: dict[str, Any] = {
            "share_layers": chosen.share_layers,
            "combination": chosen.combination,
            "missed_rays": chosen.missed_rays,
        }
        return cls(**{**settings, **config})

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: Any = False, **kwargs: Any) -> Any:
        """As diffusers does.

        Raises:
            ModelError: the config is of a release in which other settings stood.
        """
        former = [name for name in _FORMER_SETTINGS if isinstance(config, dict) and name in config]
        if former:
            raise ModelError(
                f"This Latent-Plane was saved by an earlier release ({former[0]} stood outside evaluation and "
                "extensions); train it again or move its settings there in config.json."
            )
        return super().from_config(config, return_unused_kwargs, **kwargs)

    @property
    def density_refinement(self) -> int:
        """r, see `Extensions`."""
        return self.extensions.density_refinement

    @property
    def silhouette_factor(self) -> int:
        """s, see `Extensions`."""
        return self.extensions.silhouette_factor

    def with_evaluation(self, evaluation: Evaluation) -> LatentPlane:
        """The same plane, sharing its weights, evaluated in another way."""
        twin = copy.copy(self)
        twin.evaluation = evaluation
        twin.register_to_config(evaluation=evaluation.model_dump())
        twin._view_rays = {}
        return twin

    def density_parameters(self) -> list[nn.Parameter]:
        """The parameters that the density field depends on, in a fixed order."""
        feature = {id(parameter) for parameter in self.feature_transformer.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in feature]

    def feature_parameters(self) -> list[nn.Parameter]:
        """The parameters of the feature part, in a fixed order."""
        return list(self.feature_transformer.parameters())

    def forward(
        self, features: Tensor, t_emb: Tensor, silhouette: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Enhance the feature maps of one object, or of B objects with a leading dimension on everything.

        Args:
            features: [N, C, H, W] the UNet's feature maps, views in the cameras' order.
            t_emb: [E] the UNet's time embedding.
            silhouette: [sH, sW] of the first view in [0, 1], for a plane that reads it.

        Returns:
            Enhanced features [N, C, H, W] in the dtype of `features`, and occupancy [N, 1, H, W] in [0, 1].

        Raises:
            ShapeError: for another number of views, channels or aspect, and for NaN or infinite values.
        """
        if features.dim() == 4:
            output = self.enhance(ObjectInputs(features, t_emb, silhouette).batch)
            return output.features[0], output.occupancy[0]
        output = self.enhance(PlaneInputs(features, t_emb, silhouette))
        return output.features, output.occupancy

    def enhance(self, inputs: PlaneInputs) -> PlaneOutput:
        """As `forward` for B objects, with what was rendered and the expected depth as well (Eq. 9)."""
        self._check(inputs)
        maps = [self.evaluator.render(one) for one in inputs]
        rendered, occupancy, depth = (
            torch.stack([getattr(one, name) for one in maps]) for name in ("features", "occupancy", "depth")
        )
        enhanced = self.combine(inputs.features, rendered, occupancy).to(inputs.features.dtype)
        return PlaneOutput(enhanced, rendered, occupancy, depth)

    def density(
        self, features: Tensor, t_emb: Tensor, points: Tensor, silhouette: Tensor | None = None
    ) -> Tensor:
        """The density field (Eq. 3-6).

        Args:
            features: [N, C, H, W], or [B, N, C, H, W].
            t_emb: [E], or [B, E].
            points: [P, 3] in the world, or [B, P, 3].
            silhouette: [sH, sW], or [B, sH, sW], for a plane that reads it.

        Returns:
            [P], or [B, P]: sigma before softplus, float32.

        Raises:
            ShapeError: as for `forward`, and for points that are no triples.
        """
        if points.shape[-1] != 3 or points.dim() != features.dim() - 2:
            expected = "[P, 3]" if features.dim() == 4 else "[B, P, 3]"
            raise ShapeError(f"points must have the shape {expected}, got {list(points.shape)}.")
        if features.dim() == 4:
            return self.density_at(ObjectInputs(features, t_emb, silhouette), points)
        inputs = PlaneInputs(features, t_emb, silhouette)
        return torch.stack([self.density_at(one, p) for one, p in zip(inputs, points, strict=True)])

    def density_at(self, inputs: ObjectInputs, points: Tensor) -> Tensor:
        """[P] the density field of one object at points [P, 3], see `density`."""
        self._check(inputs.batch)
        return self.evaluator.density(inputs, points)

    @property
    def evaluator(self) -> PlaneEvaluator:
        """What evaluates this plane."""
        return ReferenceEvaluator(self) if self.evaluation.method == "reference" else FastEvaluator(self)

    def view_rays(self, width: int, height: int) -> ViewRays:
        """The rays of all views at a size of feature map; computed once in float64 and kept."""
        key = (width, height, self.device)
        if key not in self._view_rays:
            self._view_rays[key] = make_view_rays(
                self.cameras.resized(width, height),
                samples_per_ray=self.samples_per_ray,
                missed_rays=self.missed_rays,
                num_octaves=self.num_octaves,
                lattice_size=self.evaluation.lattice_size,
                density_refinement=self.density_refinement,
            ).to(self.device)
        return self._view_rays[key]

    def camera_embedding(self) -> Tensor:
        """[N, M] the views' embeddings, computed in float64."""
        return harmonic_embedding(self.cameras.double().positions, self.num_octaves).float().to(self.device)

    def density_maps(self, inputs: ObjectInputs) -> Tensor:
        """[N, token_channels, rH, rW] what the density's tokens are sampled from, for a refinement of r."""
        features = inputs.features.to(self.dtype)
        N, _, H, W = features.shape
        coarse = self.feature_projection(texels(features))
        maps = coarse.unflatten(0, (N, H, W)).permute(0, 3, 1, 2)
        if self.refinement is None:
            return maps
        silhouette = features.new_zeros(N, 0, H, W)
        if self.silhouette_factor:
            assert inputs.silhouette is not None, "inputs are checked"
            silhouette = silhouette_texels(inputs.silhouette.to(features), self.silhouette_factor, N)
        return self.refinement(maps, features, silhouette)

    def coverage(self, inputs: ObjectInputs) -> Tensor:
        """[rH, rW] the reference's signed silhouette at the size of the refined maps; empty for a plane without."""
        if not self.silhouette_factor:
            return inputs.features.new_zeros(0, 0)
        assert inputs.silhouette is not None, "inputs are checked"
        silhouette = inputs.silhouette.to(inputs.features)
        return signed_coverage(silhouette, self.silhouette_factor // self.density_refinement)

    def silhouette_density(self, inputs: ObjectInputs, points: Tensor) -> Tensor:
        """[P] what the reference's silhouette adds to the raw density at points [P, 3]; zero for a plane without."""
        if self.silhouette_head is None:
            return self.sigma_embedding.new_zeros(len(points))
        coverage = self.coverage(inputs)
        first = self.cameras[0].resized(coverage.shape[1], coverage.shape[0]).to(points.device)
        return self.silhouette_head(bilinear_taps(points, first).sample_view(coverage.flatten(), 0))

    def _check(self, inputs: PlaneInputs) -> None:
        features, views = inputs.features, len(self.cameras)
        expected = f"[{views} views, {self.feature_channels} channels, H, W]"
        if features.dim() != 5 or features.shape[1:3] != (views, self.feature_channels):
            got = list(features.shape[1:])
            raise ShapeError(f"This Latent-Plane expects feature maps {expected}, got {got}.")
        height, width = features.shape[-2:]
        if width * self.cameras.height != height * self.cameras.width:
            raise ShapeError(
                f"Feature maps must have the cameras' aspect {self.cameras.width}:{self.cameras.height}, "
                f"got {width}x{height}."
            )
        if inputs.t_emb.shape != (len(features), self.time_embedding_dim):
            raise ShapeError(
                f"The time embedding must have {self.time_embedding_dim} values an object, "
                f"got {list(inputs.t_emb.shape[1:])}."
            )
        if not (features.isfinite().all() and inputs.t_emb.isfinite().all()):
            raise ShapeError(
                f"Feature maps {expected} and time embedding must be finite, got NaN or infinity."
            )
        self._check_silhouette(inputs)

    def _check_silhouette(self, inputs: PlaneInputs) -> None:
        if not self.silhouette_factor:
            return
        if inputs.silhouette is None:
            raise ShapeError(
                "This Latent-Plane reads the reference's silhouette, and there is none; give it."
            )
        count, _, _, height, width = inputs.features.shape
        wanted = (count, self.silhouette_factor * height, self.silhouette_factor * width)
        if inputs.silhouette.shape != wanted:
            raise ShapeError(
                f"The silhouette must have the shape {list(wanted)} beside {width}x{height} feature maps, "
                f"got {list(inputs.silhouette.shape)}."
            )


def _refinement(extensions: Extensions, feature_channels: int, token_channels: int) -> FineDetail | None:
    """What makes finer maps for the density, where the extensions say so."""
    if not extensions.refines:
        return None
    pixels = extensions.silhouette_factor**2
    return FineDetail(feature_channels, pixels, token_channels, extensions.density_refinement)
