"""A finished training set as any novel-view model sees it: the source of Latent-Plane's batches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.novel_view import NovelView
from placid_kedro.errors import DataError
from placid_kedro.images import over_white
from placid_kedro.latent_plane.training.batches import RingViews, TrueViews, check_ring, views_around
from placid_kedro.objects.dataset import RenderedObjects

_MIB = 2**20
# The files hold float32.
_SAME_CAMERA = 1e-4
_SAME_AZIMUTH_DEG = 0.01
_SAME_HEIGHT = 1e-3


def first_ring(cameras: Cameras) -> Cameras:
    """The first views of an object, which are evenly spaced in azimuth at one elevation, from the front on.

    Raises:
        DataError: the views do not begin with such a ring.
    """
    positions = cameras.positions.double()
    azimuths = torch.rad2deg(torch.atan2(positions[:, 1], positions[:, 0]))
    # A second ring begins where an azimuth is the first view's again.
    again = [
        view for view in range(1, len(cameras)) if _turn(azimuths[view] - azimuths[0]) < _SAME_AZIMUTH_DEG
    ]
    count = again[0] if again else len(cameras)
    off = max(_turn(azimuths[view] - 360.0 * view / count) for view in range(count))
    heights = positions[:count, 2]
    if off > _SAME_AZIMUTH_DEG or float((heights - heights[0]).abs().max()) > _SAME_HEIGHT:
        raise DataError(
            "The views of the training set do not begin with a ring at one elevation, evenly spaced from the "
            "front on; render them with such a first ring in syncdreamer_render.protocol."
        )
    return cameras[list(range(count))]


def _turn(degrees: Tensor) -> float:
    """How far an angle is from a whole turn, in [0, 180] degrees."""
    return float(((degrees + 180) % 360 - 180).abs())


class RenderedPlaneObjects:
    """Some objects of a training set (a `PlaneObjects`): views are read and encoded when they are asked for.

    The latents of an object's ring are kept in memory, those that were asked for last, up to a bound.

    Args:
        objects: of the training set.
        chosen: indices of those that are used.
        model: whose autoencoder and conditioner see them.
        views: N of the plane.
        cache_mb: MiB of latents that are kept; 0 keeps none.

    Raises:
        DataError: the views do not begin with a ring.
        ParameterError: the ring does not hold N evenly spaced views.
    """

    def __init__(
        self, objects: RenderedObjects, chosen: Sequence[int], model: NovelView, views: int, cache_mb: int
    ) -> None:
        self.objects = objects
        self.chosen = list(chosen)
        self.model = model
        first = objects.read(self.chosen[0])
        self._ring_cameras = first_ring(first.cameras)
        check_ring(self.ring, views)
        # The plane's cameras: at the size of the model's images.
        size = model.image_size
        self.cameras = self._ring_cameras[views_around(self.ring, views)].resized(size, size)
        self._poses = self.cameras.world_to_camera.to(model.device)
        self._latents: OrderedDict[int, Tensor] = OrderedDict()
        self._free = cache_mb * _MIB

    @property
    def ring(self) -> int:
        """How many views the ring has."""
        return len(self._ring_cameras)

    def __len__(self) -> int:
        return len(self.chosen)

    def view_count(self, index: int) -> int:
        """How many views an object has."""
        return self.objects.view_count(self.chosen[index])

    @torch.no_grad()
    def ring_views(self, index: int, views: Sequence[int]) -> RingViews:
        """Views of the ring, the reference first.

        Raises:
            DataError: the object's views are missing, damaged or of another protocol.
        """
        moments = self._encoded(index)[list(views)]
        image = self._images(index, views[:1])
        condition = self.model.conditioner(image, moments[:1], self._poses[:1], self._poses)
        return RingViews(
            latents=moments * self.model.autoencoder.config.scaling_factor,
            concatenated=condition.concatenated,
            context=condition.context,
            silhouette=self._silhouette(index, views[0]),
        )

    def true_views(self, index: int, views: Sequence[int]) -> TrueViews:
        """Cameras, masks and depths of any views, at the size they were rendered in.

        Raises:
            DataError: the object's views are missing or damaged.
        """
        read = self.objects.read(self.chosen[index], views)
        return TrueViews(read.cameras, read.mask, read.depth)

    def _encoded(self, index: int) -> Tensor:
        """[R, C, h, w] the mode of the latents of the ring, without scaling; always encoded in one batch, so that
        what is kept equals what is encoded anew."""
        if index in self._latents:
            self._latents.move_to_end(index)
            return self._latents[index].to(self.model.device)
        latents = self.model.reference_latents(self._images(index, range(self.ring)))
        kept = latents.cpu()
        size = kept.numel() * kept.element_size()
        while self._latents and self._free < size:
            _, oldest = self._latents.popitem(last=False)
            self._free += oldest.numel() * oldest.element_size()
        if size <= self._free:
            self._latents[index] = kept
            self._free -= size
        return latents

    def _silhouette(self, index: int, view: int) -> Tensor:
        """[H, W] coverage in [0, 1] of a view, at the size of the model's images."""
        mask = self.objects.read(self.chosen[index], [view]).mask[None]
        size = (self.model.image_size, self.model.image_size)
        return F.interpolate(mask, size, mode="bilinear", antialias=True, align_corners=False)[0, 0].clamp(
            0, 1
        )

    def _images(self, index: int, views: Sequence[int]) -> Tensor:
        """[V, 3, H, W] over white, of the model's size, on its device."""
        read = self.objects.read(self.chosen[index], views)
        own = self._ring_cameras.world_to_camera[list(views)]
        if not torch.allclose(read.cameras.world_to_camera, own, atol=_SAME_CAMERA):
            raise DataError(
                f"The views of {read.uid} follow another protocol than those of {self.objects.uids[self.chosen[0]]}; "
                "render the whole set with one protocol."
            )
        images = over_white(read.rgba).to(self.model.device)
        size = self.model.image_size
        if images.shape[-1] != size:
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
        return images.clamp(0, 1)
