"""The paper's settings, those of the authors' released code, and those of the embedded model on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from placid_kedro.errors import ParameterError

Branches = Literal["conditional", "both", "shared"]
FieldStep = Literal["first", "last"]


class Action(Enum):
    """What the plane does in one call of the UNet."""

    WATCH = "the features pass unchanged"
    RENDER = "the plane renders its maps and combines them with the features"
    REUSE = "the maps rendered last are combined with the features"


@dataclass(frozen=True)
class PlannedCall:
    """One call of the UNet.

    Attributes:
        action: what the plane does.
        records: whether its inputs are kept, for the density field to be read from.
    """

    action: Action
    records: bool


# What the plane does in the UNet's calls 0, 1, 2, ...
CallPlan = Callable[[int], PlannedCall]


def always_render(call: int) -> PlannedCall:
    """The plane acts in every call."""
    return PlannedCall(Action.RENDER, records=True)


def only_watch(call: int) -> PlannedCall:
    """The plane acts in no call; its inputs are kept."""
    return PlannedCall(Action.WATCH, records=True)


@dataclass(frozen=True)
class SamplingPolicy:
    """When the plane acts while views are sampled.

    Attributes:
        branches: which guidance branches are enhanced: "both", the "conditional" one alone, or that one with the
            other changed by as much ("shared"). Guidance of scale s multiplies what happens to the conditional
            branch alone by s, and leaves a change that both share as it is.
        active_fraction: share of the steps, counted from the first, in which the plane acts.
        renoise_first_step: whether one step at the last timestep is taken without the plane first, its x0
            predicted and noised again, before the steps proper begin.
        renewal_interval: the plane's maps are rendered anew in every so many steps, and the last ones stand in
            the steps between.
        field_step: whose features the density field is read from. Those of the "last" have seen the finished views;
            those of the "first" know the reference alone, and so hold what is likely rather than one guess at what
            the reference does not show.
    """

    branches: Branches
    active_fraction: float
    renoise_first_step: bool
    renewal_interval: int = 1
    field_step: FieldStep = "last"

    def __post_init__(self) -> None:
        if not 0.0 <= self.active_fraction <= 1.0:
            raise ParameterError(f"active_fraction must lie in [0, 1], got {self.active_fraction}.")
        if self.renewal_interval < 1:
            raise ParameterError(f"renewal_interval must be at least 1, got {self.renewal_interval}.")

    def plan(self, num_steps: int) -> CallPlan:
        """What the plane does in the calls of a sampling of `num_steps`, the noisiest first.

        With `renoise_first_step` there is one more call before them.
        """
        ahead = int(self.renoise_first_step)
        active = round(self.active_fraction * num_steps)
        field_step = 0 if self.field_step == "first" else num_steps - 1

        def planned(call: int) -> PlannedCall:
            step = call - ahead
            records = step == field_step
            if not 0 <= step < active:
                return PlannedCall(Action.WATCH, records)
            renders = step % self.renewal_interval == 0
            return PlannedCall(Action.RENDER if renders else Action.REUSE, records)

        return planned


@dataclass(frozen=True)
class LatentPlanePreset:
    """What the paper, the authors' code and the embedded model decide differently.

    Attributes:
        share_layers: one set of weights for the attention layers of a part.
        combination: "add" the rendered map to the original one, or "blend" it in by occupancy.
        missed_rays: rays that miss the cube stay "empty", or are sampled between the "crossed" ends.
        sampling: when the plane acts.
    """

    share_layers: bool
    combination: Literal["add", "blend"]
    missed_rays: Literal["empty", "crossed"]
    sampling: SamplingPolicy


PRESETS: dict[str, LatentPlanePreset] = {
    "paper": LatentPlanePreset(
        share_layers=False,
        combination="add",
        missed_rays="empty",
        sampling=SamplingPolicy(branches="both", active_fraction=1.0, renoise_first_step=False),
    ),
    # 45 of 50 steps.
    "official": LatentPlanePreset(
        share_layers=True,
        combination="blend",
        missed_rays="crossed",
        sampling=SamplingPolicy(branches="conditional", active_fraction=0.9, renoise_first_step=True),
    ),
    # At low noise a plane on 16 x 16 maps has nothing to say, and a third of the evaluations says as much as all.
    "frugal": LatentPlanePreset(
        share_layers=False,
        combination="blend",
        missed_rays="empty",
        sampling=SamplingPolicy(
            branches="shared",
            active_fraction=0.6,
            renoise_first_step=False,
            renewal_interval=3,
            field_step="first",
        ),
    ),
}


def preset(name: str) -> LatentPlanePreset:
    """The preset "paper", "official" or "frugal".

    Raises:
        ParameterError: for another name.
    """
    if name not in PRESETS:
        raise ParameterError(f"There is no Latent-Plane preset {name!r}; choose one of {sorted(PRESETS)}.")
    return PRESETS[name]
