"""What the laboratory leaves behind about itself: its settings, its table and the answers to the paper's claims."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from placid_kedro.distillation.config import SweptPreset


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(_Frozen):
    """A mean over the samples with its 95% bootstrap interval; no bounds for a single sample."""

    mean: float
    low: float | None
    high: float | None


class LabRow(_Frozen):
    """One run after so many steps; ordinary diffusion has neither steps nor costs.

    Attributes:
        label: of the run; experiment: `comparison`, `lam`, `ratio` or `truth`; value: of what is swept.
        forwards: network evaluations a sample; seconds: of the whole batch.
        step_milliseconds: median of the batch's steps.
        skipped: samples whose guidance was zero or not finite, counted over all steps.
        measures: by name, see `metrics.comparison_table`.
    """

    label: str
    experiment: str
    value: float | None
    steps: int | None
    forwards: float | None
    seconds: float | None
    step_milliseconds: float | None
    skipped: int | None
    measures: dict[str, Measure]


class Claim(_Frozen):
    """One of the paper's claims.

    Attributes:
        key: `a` to `e`.
        statement: what the paper says.
        holds: whether it does here; None where this run cannot tell.
        finding: the numbers behind it, in one or two sentences.
    """

    key: str
    statement: str
    holds: bool | None
    finding: str


class LabSetting(_Frozen):
    """With what the table was made.

    Attributes:
        size: name of the laboratory's size.
        model: where the text-to-image model comes from; identity: digest of its UNet and scheduler.
        converged, over_trained: numbers of steps of the two snapshots.
        swept: preset of BSD at which lam and the fixed ratios are swept.
        truth_samples, truth_steps, truth_guidance_scale: of ordinary diffusion.
        device, threads: where it was computed.
    """

    size: str
    model: str
    identity: str
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    converged: int
    over_trained: int
    swept: SweptPreset
    learning_rate: float
    truth_samples: int
    truth_steps: int
    truth_guidance_scale: float
    device: str
    threads: int
    versions: dict[str, str]


class LabReport(_Frozen):
    """The whole answer of `distill_2d`."""

    setting: LabSetting
    algorithms: dict[str, dict[str, Any]]
    rows: tuple[LabRow, ...]
    claims: tuple[Claim, ...]

    def row(self, label: str, steps: int | None) -> LabRow | None:
        """The row of a run after so many steps, None where there is none."""
        return next((row for row in self.rows if (row.label, row.steps) == (label, steps)), None)


def rows_of(table: pd.DataFrame) -> tuple[LabRow, ...]:
    """The rows of a `comparison_table` with the columns experiment, value and step_milliseconds."""
    measures = [name for name in table.columns if f"{name}_low" in table.columns]
    return tuple(_row(record, measures) for record in table.to_dict(orient="records"))


def _row(record: Mapping[str, Any], measures: list[str]) -> LabRow:
    def number(name: str) -> float | None:
        value = float(record[name])
        return None if math.isnan(value) else value

    def whole(name: str) -> int | None:
        value = number(name)
        return None if value is None else int(value)

    return LabRow(
        label=record["algorithm"],
        experiment=record["experiment"],
        value=number("value"),
        steps=whole("steps"),
        forwards=number("forwards"),
        seconds=number("seconds"),
        step_milliseconds=number("step_milliseconds"),
        skipped=whole("skipped"),
        measures={
            name: Measure(mean=mean, low=number(f"{name}_low"), high=number(f"{name}_high"))
            for name in measures
            if (mean := number(name)) is not None
        },
    )
