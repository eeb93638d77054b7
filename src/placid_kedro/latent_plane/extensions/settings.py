"""Which of the embedded model's extensions a plane has; imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from placid_kedro.parameter_types import NonNegativeInt, ParameterModel, PositiveInt


class Extensions(ParameterModel):
    """What a plane has beyond the paper's; the defaults are none of it.

    Attributes:
        density_refinement: r: the density's tokens are read from maps so many times as fine as the UNet's, which
            convolutions make of them (`FineDetail`); 1 for the UNet's own.
        silhouette_factor: s: pixels of the reference's silhouette along a texel's side. They refine the maps that the
            density reads, and where a point falls in them is added to its density (`SilhouetteHead`). 0 for none, else
            a multiple of `density_refinement`.
    """

    density_refinement: PositiveInt = 1
    silhouette_factor: NonNegativeInt = 0

    @model_validator(mode="after")
    def _whole_pixels(self) -> Self:
        if self.silhouette_factor % self.density_refinement:
            raise ValueError(
                "should have a silhouette_factor that is a multiple of density_refinement, but has "
                f"{self.silhouette_factor} and {self.density_refinement}"
            )
        return self

    @property
    def refines(self) -> bool:
        """Whether the density reads other maps than the UNet's own."""
        return self.density_refinement > 1 or self.silhouette_factor > 0
