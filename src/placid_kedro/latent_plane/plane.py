"""The Latent-Plane module (Sec. 4.2, Eq. 3-9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils.checkpoint
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from placid_kedro.cameras import Cameras, cameras_from_config, cameras_to_config, multiview_cameras
from placid_kedro.cameras.rays import MissedRays, compositing_weights
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane.combinations import COMBINATIONS, Combination
from placid_kedro.latent_plane.evaluation.compiled import CompiledAttention
from placid_kedro.latent_plane.evaluation.folded import FoldedTransformer, ReadTokens, TokenTransformer
from placid_kedro.latent_plane.evaluation.rays import ViewRays, make_view_rays
from placid_kedro.latent_plane.extensions.silhouette import FineDetail, SilhouetteHead
from placid_kedro.latent_plane.geometry import SampledPoints, UnsampledPoints, harmonic_embedding
from placid_kedro.latent_plane.plane_config import check_plane_config
from placid_kedro.latent_plane.presets import preset

# Raw densities [P] at P points, of one object.
DensityAt = Callable[[SampledPoints | UnsampledPoints], Tensor]


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
        block_size: points that are processed at a time; bounds the memory.
        feature_samples: the feature part is evaluated at the heaviest so many samples of a ray, which stand for
            all of its weight; None for all samples, which leaves the result as it is.
        occupancy_threshold: rays with less occupancy get no features at all; 0 leaves the result as it is.
        lattice_size: points an axis of a coarse grid of densities that tells where to look closer; 0 for none.
        lattice_threshold: the density of a sample is evaluated where the interpolated densities give it a larger
            rendering weight; elsewhere it is the interpolated one.
        density_refinement: the density's tokens are read from maps so many times as fine as the UNet's, which
            convolutions make of them (`FineMaps`); 1 for the UNet's own (paper).
        silhouette_factor: s pixels of the reference's silhouette along a texel's side. The first view is the
            reference's; the S = s^2 signed pixels in each of its texels stand behind the C channels of its feature
            map, zeros behind the others'. They refine the maps that the density reads, and where a point falls in
            them is added to its density (`SilhouetteHead`). 0 for none (paper), else a multiple of
            `density_refinement`.
        block: name of the UNet's module whose output it enhances; None for the paper's choice (`decoder_block`).

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
        block_size: int = 16384,
        feature_samples: int | None = None,
        occupancy_threshold: float = 0.0,
        lattice_size: int = 0,
        lattice_threshold: float = 0.05,
        density_refinement: int = 1,
        silhouette_factor: int = 0,
        block: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(cameras, dict):
            cameras = cameras_to_config(multiview_cameras() if cameras is None else cameras)
            self.register_to_config(cameras=cameras)
        check_plane_config(self.config)
        self.cameras = cameras_from_config(cameras)
        self.combine = COMBINATIONS[combination]
        self.feature_channels = feature_channels
        self.time_embedding_dim = time_embedding_dim
        self.num_octaves = num_octaves
        self.samples_per_ray = samples_per_ray
        self.missed_rays: MissedRays = missed_rays
        self.block_size = block_size
        self.feature_samples = feature_samples
        self.occupancy_threshold = occupancy_threshold
        self.lattice_size = lattice_size
        self.lattice_threshold = lattice_threshold
        self.density_refinement = density_refinement
        self.silhouette_factor = silhouette_factor
        self.block = block
        self.gradient_checkpointing = False
        embedding_dim = 3 * (1 + 2 * num_octaves)
        width = token_channels + 2 * embedding_dim
        self.sigma_embedding = nn.Parameter(torch.randn(token_channels))
        self.feature_projection = nn.Linear(feature_channels, token_channels)
        self.refinement = (
            FineDetail(feature_channels, self.silhouette_channels, token_channels, density_refinement)
            if density_refinement > 1 or silhouette_factor
            else None
        )
        self.time_projection = nn.Linear(time_embedding_dim, token_channels)
        self.sigma_token = nn.Linear(2 * token_channels, width)
        self.density_transformer = TokenTransformer(
            token_channels, embedding_dim, num_heads, density_head_dim, num_layers, share_layers
        )
        self.sigma_head = nn.Linear(width, 1)
        self.silhouette_head = SilhouetteHead() if silhouette_factor else None
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

    @property
    def silhouette_channels(self) -> int:
        """S, the pixels of the reference's silhouette in a texel."""
        channels: int = self.silhouette_factor**2
        return channels

    def with_silhouette(self, features: Tensor, silhouette: Tensor) -> Tensor:
        """Feature maps as a plane that reads the reference's silhouette takes them.

        Args:
            features: [B, N, C, H, W].
            silhouette: [B, s * H, s * W] how much of each pixel the object covers in the first view, in [0, 1].

        Returns:
            [B, N, C + S, H, W].

        Raises:
            ShapeError: the silhouette is not s times as large as the feature maps.
        """
        B, N, _, H, W = features.shape
        s = self.silhouette_factor
        if silhouette.shape != (B, s * H, s * W):
            raise ShapeError(
                f"The silhouette must have the shape {[B, s * H, s * W]} beside {W}x{H} feature maps, "
                f"got {list(silhouette.shape)}."
            )
        # Covered is 1, empty -1, unknown 0.
        first = torch.nn.functional.pixel_unshuffle(2 * silhouette[:, None] - 1, s)
        behind = features.new_zeros(B, N, self.silhouette_channels, H, W)
        behind[:, 0] = first.to(behind)
        return torch.cat([features, behind], dim=2)

    def density_parameters(self) -> list[nn.Parameter]:
        """The parameters that the density field depends on, in a fixed order."""
        feature = {id(parameter) for parameter in self.feature_transformer.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in feature]

    def feature_parameters(self) -> list[nn.Parameter]:
        """The parameters of the feature part, in a fixed order."""
        return list(self.feature_transformer.parameters())

    def forward(self, features: Tensor, t_emb: Tensor) -> tuple[Tensor, Tensor]:
        """Enhance the feature maps of one object, or of B objects with a leading dimension on everything.

        Args:
            features: [N, C + S, H, W] the UNet's feature maps, views in the cameras' order; S is 0 unless the plane
                reads the reference's silhouette (`with_silhouette` puts it there).
            t_emb: [E] the UNet's time embedding.

        Returns:
            Enhanced features [N, C, H, W] in the dtype of `features`, and occupancy [N, 1, H, W] in [0, 1].

        Raises:
            ShapeError: for another number of views, channels or aspect, and for NaN or infinite values.
        """
        output = self.enhance(*self._batched(features, t_emb))
        if features.dim() == 4:
            return output.features[0], output.occupancy[0]
        return output.features, output.occupancy

    def enhance(self, features: Tensor, t_emb: Tensor) -> PlaneOutput:
        """As `forward` for features [B, N, C + S, H, W] and t_emb [B, E], with the expected depth as well."""
        self._check(features, t_emb)
        rays = self.view_rays(features.shape[-1], features.shape[-2])
        objects = [self._render_object(f, t, rays) for f, t in zip(features, t_emb, strict=True)]
        rendered, occupancy, depth = (torch.stack(parts) for parts in zip(*objects, strict=True))
        own = features[:, :, : self.feature_channels]
        enhanced = self.combine(own, rendered, occupancy).to(features.dtype)
        return PlaneOutput(enhanced, rendered, occupancy, depth)

    def density(self, features: Tensor, t_emb: Tensor, points: Tensor) -> Tensor:
        """The density field (Eq. 3-6).

        Args:
            features: [N, C + S, H, W], or [B, N, C + S, H, W].
            t_emb: [E], or [B, E].
            points: [P, 3] in the world, or [B, P, 3].

        Returns:
            [P], or [B, P]: sigma before softplus, float32.

        Raises:
            ShapeError: as for `forward`, and for points that are no triples.
        """
        if points.shape[-1] != 3 or points.dim() != features.dim() - 2:
            expected = "[P, 3]" if features.dim() == 4 else "[B, P, 3]"
            raise ShapeError(f"points must have the shape {expected}, got {list(points.shape)}.")
        batched, t_embs = self._batched(features, t_emb)
        self._check(batched, t_embs)
        height, width = (size * self.density_refinement for size in features.shape[-2:])
        cameras = self.cameras.resized(width, height).to(features.device)
        targets = points[None] if features.dim() == 4 else points
        sigma = torch.stack(
            [
                self._density_of(f, t)(UnsampledPoints(p, cameras, self.num_octaves))
                for f, t, p in zip(batched, t_embs, targets, strict=True)
            ]
        )
        return sigma[0] if features.dim() == 4 else sigma

    def view_rays(self, width: int, height: int) -> ViewRays:
        """The rays of all views at a size of feature map; computed once in float64 and kept."""
        key = (width, height, self.device)
        if key not in self._view_rays:
            self._view_rays[key] = make_view_rays(
                self.cameras.resized(width, height),
                samples_per_ray=self.samples_per_ray,
                missed_rays=self.missed_rays,
                num_octaves=self.num_octaves,
                lattice_size=self.lattice_size,
                density_refinement=self.density_refinement,
            ).to(self.device)
        return self._view_rays[key]

    def _camera_embedding(self) -> Tensor:
        cameras = self.cameras
        double = Cameras(cameras.world_to_camera.double(), cameras.K.double(), cameras.width, cameras.height)
        return harmonic_embedding(double.positions, self.num_octaves).float().to(self.device)

    def _render_object(
        self, features: Tensor, t_emb: Tensor, rays: ViewRays
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rendered features [N, C, H, W], occupancy and depth [N, 1, H, W]."""
        N, _, H, W = features.shape
        raw_sigma = self._ray_density(features, t_emb, rays)
        weights = compositing_weights(raw_sigma, rays.distances)
        rendered = self._render_features(features[:, : self.feature_channels], rays, weights)
        maps = [rendered, weights.sum(-1, keepdim=True), (weights * rays.depths).sum(-1, keepdim=True)]
        rendered, occupancy, depth = (
            part.new_zeros(N * H * W, part.shape[1])
            .index_copy(0, rays.rays, part)
            .reshape(N, H, W, -1)
            .permute(0, 3, 1, 2)
            for part in maps
        )
        return rendered, occupancy, depth

    def _ray_density(self, features: Tensor, t_emb: Tensor, rays: ViewRays) -> Tensor:
        """[U, S] raw densities along the used rays."""
        shape = rays.distances.shape
        density = self._density_of(features, t_emb)
        if rays.lattice is None:
            return density(rays.density_points).reshape(shape)
        coarse = rays.lattice.interpolate(density(rays.lattice.points))
        weights = compositing_weights(coarse.detach().reshape(shape), rays.distances)
        chosen = (weights.flatten() > self.lattice_threshold).nonzero()[:, 0]
        exact = density(rays.density_points[chosen])
        return coarse.index_copy(0, chosen, exact.to(coarse.dtype)).reshape(shape)

    def _density_of(self, features: Tensor, t_emb: Tensor) -> DensityAt:
        """One object's raw densities [P] at P points."""
        table = self._density_table(features)
        time = self.time_projection(t_emb.to(self.dtype)).float()
        token = self.sigma_token(torch.cat([self.sigma_embedding, time]))
        folded = self.density_transformer.fold(self._camera_embedding(), token)
        normalised = self.density_transformer.norm(token)
        stack = self.density_transformer.stack
        # sigma_head(LN(token) + sum_l (A_l Wo_l + b_l)), with the head taken through the output projections.
        head = self.sigma_head.weight[0]
        constant = self.sigma_head.bias[0] + head @ (normalised + sum(layer.to_out.bias for layer in stack))
        readouts = [layer.to_out.weight.T @ head for layer in stack]
        read = self._reader(self.density_transformer, folded, table)
        covered = self._coverage(features)

        def density(points: SampledPoints | UnsampledPoints) -> Tensor:
            def block(part: slice) -> Tensor:
                chosen = points[part]
                outputs = read(chosen, None).outputs
                sigma = constant + sum(o.float() @ r for o, r in zip(outputs, readouts, strict=True))
                if self.silhouette_head is not None:
                    sigma = sigma + self.silhouette_head(chosen.taps.sample_view(covered, 0))
                return sigma

            if len(points) == 0:
                return table.new_zeros(0)
            return torch.cat([self._run(block, part) for part in _blocks(len(points), self.block_size)])

        return density

    def _density_table(self, features: Tensor) -> Tensor:
        """[N * rH * rW, token_channels] what the density's tokens are sampled from, for a refinement of r."""
        features = features.to(self.dtype)
        own, silhouette = features.split([self.feature_channels, self.silhouette_channels], dim=1)
        coarse = self.feature_projection(_texels(own))
        if self.refinement is None:
            return coarse.float()
        maps = coarse.unflatten(0, (len(own), *own.shape[2:])).permute(0, 3, 1, 2)
        return _texels(self.refinement(maps, own, silhouette)).float()

    def _coverage(self, features: Tensor) -> Tensor:
        """[rH * rW] the reference's signed silhouette at the size of the refined maps; empty without one."""
        _, silhouette = features.split([self.feature_channels, self.silhouette_channels], dim=1)
        if not self.silhouette_factor:
            return features.new_zeros(0)
        pixels = torch.nn.functional.pixel_shuffle(silhouette[:1].float(), self.silhouette_factor)
        pooled = torch.nn.functional.avg_pool2d(pixels, self.silhouette_factor // self.density_refinement)
        return pooled.flatten()

    def _reader(
        self, transformer: TokenTransformer, folded: FoldedTransformer, table: Tensor
    ) -> Callable[[SampledPoints, Tensor | None], ReadTokens]:
        """What attends to the tokens of points."""
        if self._may_compile(transformer, folded, table):
            shared = len(transformer.layers) == 1
            eps = transformer.norm.eps
            return CompiledAttention.prepare(table, folded, transformer.num_heads, shared, eps)

        def attend(points: SampledPoints, query: Tensor | None) -> ReadTokens:
            tokens = transformer.tokens(folded, points.taps.sample(table), points.embedding)
            return transformer.attend(folded, tokens, query)

        return attend

    def _may_compile(self, transformer: TokenTransformer, folded: FoldedTransformer, table: Tensor) -> bool:
        """Whether the CPU's compiled loop may attend: nothing that it takes wants a gradient (as in inference, and for
        the density in the second stage of training), and there are the paper's two layers."""
        differentiable = torch.is_grad_enabled() and any(
            part is not None and part.requires_grad
            for layer in folded.layers
            for part in (table, layer.feature, layer.shift, layer.earlier_shift, layer.sigma, *layer.earlier)
        )
        return table.device.type == "cpu" and transformer.num_layers == 2 and not differentiable

    def _render_features(self, features: Tensor, rays: ViewRays, weights: Tensor) -> Tensor:
        """[U, C] the feature part along the used rays (Eq. 7-8).

        Everything that follows the attention is linear, so the attention's outputs are composited first. A ray's own
        view sees it as one pixel: the features that the layers add to are the same all along it.
        """
        transformer = self.feature_transformer
        C, samples = features.shape[1], weights.shape[1]
        table = _texels(features).float()
        kept = self._kept_weights(weights)
        chosen = kept.flatten().nonzero()[:, 0]
        if len(chosen) == 0 and torch.is_grad_enabled():
            # Distributed training waits for a gradient of every parameter, be it zero.
            chosen = weights.flatten().argmax(0, keepdim=True)
        read = self._reader(transformer, transformer.fold(self._camera_embedding()), table)
        composited = table.new_zeros(len(weights), transformer.num_layers * transformer.inner + 2)

        def block(part: slice) -> Tensor:
            index = chosen[part]
            tokens = read(rays.points[index], rays.views[index // samples])
            inverse = tokens.inverse_deviation[:, None]
            parts = torch.cat([*tokens.outputs, inverse, inverse * tokens.mean[:, None]], dim=1)
            return parts.float() * kept.flatten()[index, None]

        for part in _blocks(len(chosen), self.block_size):
            composited = composited.index_add(0, chosen[part] // samples, self._run(block, part))
        occupancy = kept.sum(dim=-1, keepdim=True)
        own = table[rays.rays]
        gain, bias = transformer.norm.weight[:C], transformer.norm.bias[:C]
        rendered = (
            own * occupancy + (own * composited[:, -2:-1] - composited[:, -1:]) * gain + occupancy * bias
        )
        outputs = composited[:, :-2].split(transformer.inner, dim=1)
        for layer, output in zip(transformer.stack, outputs, strict=True):
            rendered = rendered + output @ layer.to_out.weight[:C].T + occupancy * layer.to_out.bias[:C]
        return rendered

    def _kept_weights(self, weights: Tensor) -> Tensor:
        """[U, S] the weights of the samples whose features are evaluated, zero elsewhere."""
        occupancy = weights.sum(dim=-1, keepdim=True)
        kept = weights * (occupancy.detach() > self.occupancy_threshold)
        if self.feature_samples is None or self.feature_samples >= weights.shape[1]:
            return kept
        heaviest = kept.detach().topk(self.feature_samples, dim=-1).indices
        kept = kept * torch.zeros_like(kept).scatter(1, heaviest, 1.0)
        return kept * (occupancy / kept.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(kept.dtype).tiny))

    def _run(self, block: Callable[[slice], Tensor], part: slice) -> Tensor:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return torch.utils.checkpoint.checkpoint(block, part, use_reentrant=False)
        return block(part)

    def _batched(self, features: Tensor, t_emb: Tensor) -> tuple[Tensor, Tensor]:
        if features.dim() == 4:
            return features[None], t_emb[None]
        return features, t_emb

    def _check(self, features: Tensor, t_emb: Tensor) -> None:
        views, channels = len(self.cameras), self.feature_channels + self.silhouette_channels
        expected = f"[{views} views, {channels} channels, H, W]"
        if features.dim() != 5 or features.shape[1:3] != (views, channels):
            got = list(features.shape[1:])
            raise ShapeError(f"This Latent-Plane expects feature maps {expected}, got {got}.")
        height, width = features.shape[-2:]
        if width * self.cameras.height != height * self.cameras.width:
            raise ShapeError(
                f"Feature maps must have the cameras' aspect {self.cameras.width}:{self.cameras.height}, "
                f"got {width}x{height}."
            )
        if t_emb.shape != (len(features), self.time_embedding_dim):
            raise ShapeError(
                f"The time embedding must have {self.time_embedding_dim} values an object, "
                f"got {list(t_emb.shape[1:])}."
            )
        if not (features.isfinite().all() and t_emb.isfinite().all()):
            raise ShapeError(
                f"Feature maps {expected} and time embedding must be finite, got NaN or infinity."
            )


def _texels(features: Tensor) -> Tensor:
    """[N, C, H, W] to a table [N * H * W, C]."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def _blocks(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
