"""Parameters of the pipelines `import_zero123` and `import_latent_plane`."""

from placid_kedro.parameter_types import ParameterModel


class LatentPlaneFiles(ParameterModel):
    """The authors' weights of a Latent-Plane.

    Attributes:
        coarse: path of the density's; empty for none.
        fine: path of the features'; empty for none.
    """

    coarse: str
    fine: str


class ImportParameters(ParameterModel):
    """Published weights on this machine that become model folders.

    Attributes:
        zero123: path of Zero-1-to-3's checkpoint; empty for none.
        latent_plane: paths of the authors' Latent-Plane.
    """

    zero123: str
    latent_plane: LatentPlaneFiles
