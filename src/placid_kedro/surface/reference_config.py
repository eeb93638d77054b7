"""Parameters of the stage `reference`; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.parameter_types import (
    Elevation,
    Fraction,
    NonNegativeFloat,
    ParameterModel,
    PositiveInt,
    SamplingSteps,
    Template,
)

Margin = Annotated[float, Field(ge=0, lt=0.5)]


class FloodFillBackground(ParameterModel):
    """The background is one plain colour that reaches the border, as the embedded models draw it.

    Attributes:
        hole_tolerance: what the object encloses is a hole, when it differs less from the background (a white belly does
            not, a ring's hole does); 0 knows no holes.
    """

    kind: Literal["flood_fill"] = "flood_fill"
    hole_tolerance: Fraction = 0.0


class NetworkBackground(ParameterModel):
    """A segmentation network in one ONNX file finds the object on any background.

    Attributes:
        model: a local file (its name begins with `.`, `/` or `~`), `OWNER/REPOSITORY/FILE` on the hub, or an address
            that begins with `https://`; what is fetched is kept in the hub's or in torch's cache.
        trained_as: whose pixel values it expects: `u2net` (U2-Net, U2-Netp, silueta) or `isnet` (IS-Net, RMBG 1.4).
    """

    kind: Literal["network"] = "network"
    model: Annotated[str, Field(min_length=1)]
    trained_as: Literal["u2net", "isnet"]


Background = FloodFillBackground | NetworkBackground


class TextToImageSource(ParameterModel):
    """The reference is drawn by `models.text_to_image`."""

    kind: Literal["text_to_image"] = "text_to_image"


class MvdreamSource(ParameterModel):
    """The reference is the first of four views that `models.mvdream` draws together (Sec. 4.1).

    Attributes:
        elevation_deg: that they are drawn from.
    """

    kind: Literal["mvdream"] = "mvdream"
    elevation_deg: Elevation = 30.0


class MaskParameters(ParameterModel):
    """What the mask of one object looks like.

    Attributes:
        smallest, largest: share of the image that it covers.
        border: largest share of the image's border that it covers.
        pieces: at most so many connected pieces make up nine tenths of it.
    """

    smallest: Fraction
    largest: Fraction
    border: Fraction
    pieces: PositiveInt


class ReferenceParameters(ParameterModel):
    """Stage `reference`: one image of the object from the front, its background removed (Sec. 4.1).

    Attributes:
        source: what draws it.
        image: file with a picture of one's own instead of a drawn one; empty draws.
        image_margin: `margin` for a picture of one's own.
        template: text of the drawn image, with the place `{prompt}`.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        attempts: images that are drawn until one has a mask that `mask` accepts.
        margin: the object is centred with this border on each side, as a share of the image; null leaves it
            where the model drew it.
        background: how it is removed.
        mask: what is accepted as the object.
    """

    source: Annotated[TextToImageSource | MvdreamSource, Field(discriminator="kind")] = TextToImageSource()
    image: str
    image_margin: Margin
    template: Template
    steps: SamplingSteps
    guidance_scale: NonNegativeFloat
    attempts: Annotated[int, Field(gt=0, le=100)]
    margin: Margin | None
    background: Annotated[Background, Field(discriminator="kind")]
    mask: MaskParameters
