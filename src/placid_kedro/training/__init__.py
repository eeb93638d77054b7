"""One training loop for every network of the project: resumable to the bit, on one to many devices.

The parameter types (`config`) import no torch; the rest loads when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from placid_kedro.training.context import TrainingContext, with_seed
    from placid_kedro.training.loop import BatchSource, Log, Objective, Validation, make_accelerator, train
    from placid_kedro.training.settings import LearningRateSchedule, TrainingSettings

__all__ = [
    "BatchSource",
    "LearningRateSchedule",
    "Log",
    "Objective",
    "TrainingContext",
    "TrainingSettings",
    "Validation",
    "make_accelerator",
    "train",
    "with_seed",
]

_LAZY = {
    "loop": ["BatchSource", "Log", "Objective", "Validation", "make_accelerator", "train"],
    "context": ["TrainingContext", "with_seed"],
    "settings": ["LearningRateSchedule", "TrainingSettings"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_LAZY)
