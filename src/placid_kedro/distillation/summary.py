"""What the distillation of one object tells about itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class DistillationSummary(BaseModel):
    """How much of the guidance could be used, and how many Gaussians nobody sees.

    Attributes:
        steps: of the optimisation.
        samples: rendered views that were distilled, over all steps.
        skipped_samples: of these, how many had guidance that was zero or not finite, and moved nothing.
        skipped_steps: steps with such a sample.
        unseen_gaussians: that were left out at the end because no view shows them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int
    samples: int
    skipped_samples: int
    skipped_steps: int
    unseen_gaussians: int
