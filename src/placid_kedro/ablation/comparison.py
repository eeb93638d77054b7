"""The table of a sweep, and by how much its variants differ from the first one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from placid_kedro.errors import DataError
from placid_kedro.evaluation.statistics import bootstrap_mean

# Numbers of a report that say how an object was made, not how good it is.
_HOW_IT_WAS_MADE = {"seed", "versions", "models", "distillation", "stage_seconds"}
IDENTITY = ("variant", "prompt", "seed", "status", "sentence", "seconds", "folder", "mlflow_run")
SECONDS = "seconds/"
FINISHED = "finished"
# n differences have one sign by chance with probability 2^(1 - n): from six on less often than once in twenty.
FEWEST_PROMPTS = 6


def measures(report: Mapping[str, Any]) -> dict[str, float]:
    """Every number of a report that measures the object, by its dotted name: `retrieval.rank`."""
    kept = {name: value for name, value in report.items() if name not in _HOW_IT_WAS_MADE}
    return dict(_numbers(kept, ""))


def _numbers(value: Any, name: str) -> Iterable[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)


def metric_names(cells: pd.DataFrame) -> list[str]:
    """The columns of a sweep's table that measure the objects."""
    return [name for name in cells.columns if name not in IDENTITY and not name.startswith(SECONDS)]


def differences(
    cells: pd.DataFrame, baseline: str, variants: Iterable[str], generator: np.random.Generator
) -> pd.DataFrame:
    """Each variant beside the baseline, on the prompts that both have finished.

    The seeds of a prompt are averaged first: prompts are what the interval is over.

    Args:
        cells: one row a (variant, prompt, seed), with the columns of `IDENTITY` and one a metric.
        baseline: the variant that the others are compared with.
        variants: names, in the order of the rows; the baseline among them.
        generator: of the bootstrap.

    Returns:
        One row a (variant, metric): `variant`, `metric`, `prompts` (how many are paired), `mean` and `baseline` (means
        over these prompts), `difference` (mean of variant minus baseline), `low` and `high` (its 95% percentile
        bootstrap interval; empty below two prompts), `clear` (the interval does not hold 0, and there are at least
        `FEWEST_PROMPTS`).

    Raises:
        DataError: no cell of the baseline has finished.
    """
    finished = cells[cells["status"] == FINISHED]
    if finished[finished["variant"] == baseline].empty:
        raise DataError(
            f"No object of the variant {baseline!r} was finished, which the others are compared with; the column "
            "'sentence' of the sweep's cells says why."
        )
    rows: list[dict[str, Any]] = []
    for metric in metric_names(cells):
        means = finished.pivot_table(index="prompt", columns="variant", values=metric, aggfunc="mean")
        for variant in variants:
            if variant not in means or baseline not in means:
                continue
            pairs = means[[baseline, variant]] if variant != baseline else means[[baseline]]
            pairs = pairs.dropna()
            if len(pairs):
                rows.append(
                    {
                        "variant": variant,
                        "metric": metric,
                        **_paired(pairs[variant], pairs[baseline], generator),
                    }
                )
    return pd.DataFrame(rows)


def _paired(values: pd.Series, baseline: pd.Series, generator: np.random.Generator) -> dict[str, Any]:
    difference = (values - baseline).to_numpy(np.float64)
    low = high = np.nan
    if len(difference) > 1:
        interval = bootstrap_mean(difference, generator)
        low, high = interval.low, interval.high
    return {
        "prompts": len(difference),
        "mean": float(values.mean()),
        "baseline": float(baseline.mean()),
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "clear": len(difference) >= FEWEST_PROMPTS and bool(low > 0 or high < 0),
    }
