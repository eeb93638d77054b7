"""One training loop for every network of the project: resumable to the bit, on one to many devices."""

from placid_kedro.training.loop import BatchSource, Log, Objective, Validation, make_accelerator, train
from placid_kedro.training.place import TrainingPlace, with_seed
from placid_kedro.training.settings import LearningRateSchedule, TrainingSettings

__all__ = [
    "BatchSource",
    "LearningRateSchedule",
    "Log",
    "Objective",
    "TrainingPlace",
    "TrainingSettings",
    "Validation",
    "make_accelerator",
    "train",
    "with_seed",
]
