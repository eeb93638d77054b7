"""Differences between variants, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from placid_kedro.ablation.comparison import differences, measures, metric_names
from placid_kedro.errors import DataError


def cells(rows: list[tuple[str, str, int, str, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["variant", "prompt", "seed", "status", "score"])
    return table.assign(sentence="", seconds=1.0, folder="", mlflow_run="", **{"seconds/lora": 2.0})


def test_only_what_measures_the_object_is_a_measure() -> None:
    report = {
        "prompt": "a cat",
        "seed": 3,
        "stage_seconds": {"lora": 2.0},
        "distillation": {"lam": 25.0},
        "gaussians": 100,
        "retrieval": {"rank": 2, "score": 0.5, "best": [{"name": "a dog", "score": 0.6}]},
        "complete": True,
        "geometry": None,
    }
    assert measures(report) == {"gaussians": 100.0, "retrieval.rank": 2.0, "retrieval.score": 0.5}
    assert metric_names(cells([])) == ["score"]


def test_prompts_are_paired_and_seeds_averaged() -> None:
    table = differences(
        cells(
            [
                ("full", "a cat", 0, "finished", 1.0),
                ("full", "a cat", 1, "finished", 3.0),
                ("full", "a dog", 0, "finished", 5.0),
                ("full", "a fox", 0, "finished", 100.0),
                ("plain", "a cat", 0, "finished", 0.0),
                ("plain", "a dog", 0, "finished", 1.0),
                ("plain", "a fox", 0, "failed", np.nan),
            ]
        ),
        "full",
        ["full", "plain", "never run"],
        np.random.default_rng(0),
    ).set_index("variant")
    plain = table.loc["plain"]
    assert (plain["prompts"], plain["mean"], plain["baseline"], plain["difference"]) == (2, 0.5, 3.5, -3.0)
    assert (plain["low"], plain["high"], bool(plain["clear"])) == (-4.0, -2.0, False)
    full = table.loc["full"]
    assert (full["prompts"], full["difference"], full["low"], bool(full["clear"])) == (3, 0.0, 0.0, False)
    assert list(table.index) == ["full", "plain"]


@pytest.mark.parametrize(("prompts", "clear"), [(5, False), (6, True)])
def test_a_difference_is_clear_when_chance_would_seldom_give_it(prompts: int, clear: bool) -> None:
    rows = [
        (variant, f"object {index}", 0, "finished", offset + index % 3)
        for index in range(prompts)
        for variant, offset in (("full", 0.0), ("plain", -2.0 - index))
    ]
    table = differences(cells(rows), "full", ["plain"], np.random.default_rng(0))
    assert table.iloc[0]["high"] < 0
    assert bool(table.iloc[0]["clear"]) == clear


def test_one_prompt_has_no_interval_and_is_not_clear() -> None:
    rows = [("full", "a cat", 0, "finished", 1.0), ("plain", "a cat", 0, "finished", 9.0)]
    plain = differences(cells(rows), "full", ["plain"], np.random.default_rng(0)).iloc[0]
    assert plain["difference"] == 8.0 and np.isnan(plain["low"]) and not plain["clear"]


def test_without_a_baseline_there_is_nothing_to_compare_with() -> None:
    rows = [("full", "a cat", 0, "failed", np.nan), ("plain", "a cat", 0, "finished", 9.0)]
    with pytest.raises(DataError, match="No object of the variant 'full' was finished"):
        differences(cells(rows), "full", ["full", "plain"], np.random.default_rng(0))
