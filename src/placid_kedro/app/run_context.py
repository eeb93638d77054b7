"""What a node may know of the run it is part of, beyond its inputs: where to report, and how long stages
took.

Kedro hands a node its datasets only. The hooks put the context here before a run and take it away
afterwards; a node called directly, as in a test, gets a silent one.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from placid_kedro.app.tracking import NoTracker, Tracker
from placid_kedro.checkpoints import Checkpoint
from placid_kedro.progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class TrackedProgress:
    """A `Progress` that shows its steps on a console and records its metrics and images in a tracker."""

    console: Progress
    tracker: Tracker

    def track(self, iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        """Pass the items through under the console's bar."""
        return self.console.track(iterable, total, description)

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Show the numbers and record them."""
        self.console.log_metrics(step, metrics)
        self.tracker.log_metrics(step, metrics)

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Record the image."""
        self.tracker.log_image(step, name, image)


@dataclass(frozen=True)
class SessionSource:
    """What another session like the one that goes on is made from.

    Attributes:
        project_path: folder of the project.
        conf_source: folder of the configuration.
        env: of the configuration; None for the default one.
        parameters: all parameters, with those of the command line, as plain values.
    """

    project_path: Path
    conf_source: str
    env: str | None
    parameters: dict[str, Any]


@dataclass(frozen=True)
class RunContext:
    """The run that is going on.

    Attributes:
        source: what its session was made from; None outside a session.
        progress: where long loops report.
        tracker: the recorded run.
        checkpoint: where the node that runs leaves off when it is killed, if its loop is a long one.
        stage_seconds: seconds of each stage that has finished in this run, by the stage's name.
        stage_peak_mib: the most MiB that each of them took, see `placid_kedro.app.peak_memory`.
        unused_models: names among the parameters `models` of those that no object of this run is made with.
    """

    source: SessionSource | None = None
    progress: Progress = SILENT
    tracker: Tracker = field(default_factory=NoTracker)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    stage_peak_mib: dict[str, float] = field(default_factory=dict)
    unused_models: frozenset[str] = frozenset({"mvdream", "shap_e"})
    checkpoint: Checkpoint | None = None


_OUTSIDE = RunContext()
_current: ContextVar[RunContext] = ContextVar("placid_kedro_run")


def current_run() -> RunContext:
    """The context of the run that is going on; a silent one outside a run."""
    return _current.get(_OUTSIDE)


def set_current_run(context: RunContext | None) -> None:
    """Put a run's context in place, or take it away (the hooks' business)."""
    _current.set(context or _OUTSIDE)
