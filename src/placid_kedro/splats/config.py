"""Settings of densification, of pruning what is unseen, and of importing other programs' files; imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.parameter_types import (
    ImageSize,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
    Views,
)


class DensificationConfig(ParameterModel):
    """When Gaussians are split, cloned, pruned and made transparent (Kerbl et al. 2023, Sec. 5).

    The defaults are the paper's settings.

    Attributes:
        start: no densification up to and including this step.
        stop: no densification and no reset from this step on.
        every: steps between two densifications.
        gradient: mean length of the gradient by the 2D mean, in half image widths; above it a Gaussian grows.
        percent_dense: share of the scene's extent that parts small Gaussians (cloned) from large (split).
        minimum_opacity: a Gaussian of a lower one is pruned.
        reset_every: steps between two resets of the opacities to at most twice the minimum; after the
            first of them Gaussians wider than a tenth of the scene's extent are pruned, too.
        maximum: number of Gaussians that growing never exceeds; the largest gradients come first.
    """

    start: NonNegativeInt = 100
    stop: NonNegativeInt = 3000
    every: PositiveInt = 100
    gradient: PositiveFloat = 7.5e-4
    percent_dense: PositiveFloat = 0.003
    minimum_opacity: Annotated[float, Field(gt=0, lt=0.5)] = 0.005
    reset_every: PositiveInt = 300
    maximum: PositiveInt = 1_000_000


class UnseenParameters(ParameterModel):
    """Which Gaussians of a finished object go because no view shows them, see `placid_kedro.splats.without_unseen`.

    Attributes:
        views: that look at the object from all sides.
        image_size: pixels along each edge of them.
        share: of all that the Gaussians blend into the views; the faintest go that together make up no more.
    """

    views: Views
    image_size: ImageSize
    share: Annotated[float, Field(ge=0, le=0.5)]


class SplatsImport(ParameterModel):
    """Pipeline `import_splats`: a 3DGS ply file of another program becomes the `gaussians` of a prompt.

    Attributes:
        file: its path.
        axes: of the file, see `placid_kedro.splats.load_ply`; other programs write the viewers'.
        longest_edge: length that the object's longest side gets, in edges of the cube; null leaves place and size.
        maximum: Gaussians; a larger file is refused.
    """

    file: str
    axes: Literal["marked", "viewer", "world"]
    longest_edge: Annotated[float, Field(gt=0, le=1)] | None
    maximum: PositiveInt
