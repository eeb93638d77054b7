"""What a training of Latent-Plane leaves behind about itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PlaneTrainingReport(BaseModel):
    """How a plane was made and what it does on held-out objects.

    Attributes:
        model: the multi-view model it was made for.
        model_identity: digest of that model's UNet and scheduler.
        trained: uids of the objects that it was trained on.
        held_out: uids of the objects that it was measured on.
        withheld: uids of objects in neither, because they share a name with one of those.
        density_steps, features_steps: of the two stages.
        validation: of the finished plane on the held-out objects, by name (see `PlaneValidation`); empty without
            such objects.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    model_identity: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    withheld: tuple[str, ...]
    density_steps: int
    features_steps: int
    validation: dict[str, float]
