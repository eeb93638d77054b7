"""A sweep on tiny models: workers, MLflow, a failing variant, and going on after the sweep was killed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import IPython.display
import numpy as np
import pandas as pd
import pytest
from kedro.framework.session import KedroSession
from PIL import Image

from placid_kedro.errors import ParameterError, PlacidError, PromptError

VARIANTS = ["full", "without_latent_plane", "six_views"]
SIX_VIEWS = {"known_variants": {"six_views": {"multiview": {"views": 6}}}}


def sweep(create: Callable[..., KedroSession], *place: Any, **parameters: Any) -> None:
    with create(*place, **parameters) as session:
        session.run(pipeline_names=["ablation"])


@pytest.fixture(scope="module")
def swept(
    session_in: Callable[..., KedroSession], tiny_models: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """A sweep, once whole, and once more, with two workers, after one object and the tables were lost."""
    folder = tmp_path_factory.mktemp("sweep")
    given = {
        "models": tiny_models.parameters(),
        "tracking": {"enabled": True},
        "ablation": {"variants": VARIANTS, **SIX_VIEWS},
    }
    reports = folder / "data/test/08_reporting/sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        sweep(session_in, folder, **given)
        first = pd.read_parquet(reports / "cells.parquet")
        # As a sweep looks that was killed while it made this object.
        lost = reports / "without_latent_plane/a-cactus/gaussians.ply"
        kept = reports / "full/a-cactus/gaussians.ply"
        made = kept.stat().st_mtime_ns
        lost.unlink()
        (reports / "cells.parquet").unlink()
        sweep(session_in, folder, **{**given, "ablation": {**given["ablation"], "workers": 2}})
    return {
        "folder": folder,
        "reports": reports,
        "first": first,
        "second": pd.read_parquet(reports / "cells.parquet"),
        "kept": kept.stat().st_mtime_ns == made,
        "lost": lost,
    }


def test_every_object_is_a_row_and_a_failed_one_says_why(swept: Any) -> None:
    cells = swept["first"]
    assert list(cells["variant"]) == VARIANTS * 2
    assert list(cells["prompt"]) == ["a teddy bear"] * 3 + ["a cactus"] * 3
    assert list(cells["status"]) == ["finished", "finished", "failed"] * 2
    assert all("made for 8 other views than the 6" in text for text in cells["sentence"][2::3])
    assert cells["retrieval.rank"].notna().tolist() == [True, True, False] * 2


def test_stages_that_variants_share_run_once(swept: Any) -> None:
    cells = swept["first"].set_index(["variant", "prompt"])
    seconds = cells["seconds/reference"]
    assert seconds["full"].notna().all()
    assert seconds["without_latent_plane"].isna().all()
    assert cells["seconds/multiview"]["without_latent_plane"].notna().all()
    folders = [swept["reports"] / variant / "a-cactus" / "reference.png" for variant in VARIANTS[:2]]
    assert folders[0].samefile(folders[1])


def test_a_killed_sweep_goes_on(swept: Any) -> None:
    assert swept["kept"] and swept["lost"].exists()
    first, second = swept["first"], swept["second"]
    pd.testing.assert_series_equal(first["retrieval.score"], second["retrieval.score"])
    same = first["mlflow_run"] == second["mlflow_run"]
    # Finished objects keep their record; the lost one and the failed ones get new ones.
    assert same.tolist() == [True, True, False, True, False, False]


def test_differences_are_those_of_the_reports(swept: Any) -> None:
    reports = swept["reports"]
    table = pd.read_csv(reports / "differences.csv").set_index(["variant", "metric"])
    pd.testing.assert_frame_equal(
        table.reset_index(), pd.read_parquet(reports / "differences.parquet"), check_dtype=False
    )

    def score(variant: str) -> list[float]:
        texts = [
            (reports / variant / name / "report.json").read_text() for name in ("a-teddy-bear", "a-cactus")
        ]
        return [json.loads(text)["retrieval"]["score"] for text in texts]

    row = table.loc["without_latent_plane", "retrieval.score"]
    expected = np.subtract(score("without_latent_plane"), score("full"))
    assert row["prompts"] == 2
    np.testing.assert_allclose(row["difference"], expected.mean(), rtol=1e-6)
    # Resampling two values gives nothing outside of them.
    assert expected.min() - 1e-9 <= row["low"] <= row["high"] <= expected.max() + 1e-9
    assert "six_views" not in table.index.get_level_values("variant")


def test_plot_grid_and_page(swept: Any) -> None:
    reports = swept["reports"]
    assert json.loads((reports / "differences_plot.json").read_text())["data"]
    for name in ("differences.png", "grid.png"):
        with Image.open(reports / name) as image:
            assert np.asarray(image).std() > 0
    page = (reports / "grid.html").read_text()
    assert page.count("<img") == 4
    pages = re.findall(r"<a href='([^']+)'><img", page)
    assert len(pages) == 4 and all((reports / leads_to).is_file() for leads_to in pages)
    assert page.count("made for 8 other views") == 2


def test_mlflow_holds_one_run_a_sweep_with_one_run_an_object(swept: Any) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{swept['folder'] / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("test").experiment_id], max_results=100)
    (parent, _) = [run for run in runs if run.data.tags.get("pipeline") == "ablation"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert {run.info.run_id for run in children} == set(swept["second"]["mlflow_run"])
    assert {run.data.tags["variant"] for run in children} == set(VARIANTS)
    by_variant = {
        run.data.tags["variant"]: run for run in children if run.data.tags["prompt"] == "a teddy bear"
    }
    assert {name: run.info.status for name, run in by_variant.items()} == {
        "full": "FINISHED",
        "without_latent_plane": "FINISHED",
        "six_views": "FAILED",
    }
    full, plain = by_variant["full"], by_variant["without_latent_plane"]
    assert (full.data.params["distillation.lam"], full.data.params["lora.steps"]) == ("25.0", "2")
    assert full.data.params["distillation.weighting.noise_power"] == "3.0"
    assert (plain.data.params["multiview.plane_preset"], plain.data.params["lora.steps"]) == ("none", "0")
    assert full.data.metrics["object/retrieval.rank"] >= 1
    taken, taken_without = ({one.dataset.name for one in run.inputs.dataset_inputs} for run in (full, plain))
    assert taken_without == {"prompt", "text_to_image", "zero123", "scorer"}
    assert taken == taken_without | {"latent_plane"}
    # The reference was made for another variant, and is recorded all the same.
    assert {"gaussians.ply", "turntable.mp4", "reference.png", "images"} <= {
        item.path for item in client.list_artifacts(plain.info.run_id)
    }
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} >= {
        "differences.csv",
        "grid.html",
    }


def test_the_notebook_draws_the_same_table_from_mlflow_alone(
    swept: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{swept['folder'] / 'mlflow.db'}")
    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    names: dict[str, Any] = {}
    for cell in json.loads((project / "notebooks" / "compare_runs.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            exec(source.replace('"ablation", "placid_kedro"', '"sweep", "test"'), names)
    assert set(names["objects"][0].data.tags) >= {"variant", "prompt"}
    assert names["differing"].loc["multiview.plane_preset", "without_latent_plane"] == "none"
    index = ["variant", "metric"]
    drawn = names["table"].set_index(index).sort_index()
    written = pd.read_parquet(swept["reports"] / "differences.parquet").set_index(index).sort_index()
    pd.testing.assert_frame_equal(drawn[["mean", "difference"]], written[["mean", "difference"]])
    assert len(names["figure"].data) == written.index.get_level_values("metric").nunique()
    assert len(shown) == 4


@pytest.mark.parametrize(
    ("ablation", "kind", "said"),
    [
        ({"variants": ["full", "fulll"]}, ParameterError, r"'fulll' is none; there are full, "),
        ({"variants": ["full", "full"]}, ParameterError, "name each only once"),
        (
            {"variants": ["odd"], "known_variants": {"odd": {"bsd_3dgs": {"stepps": 3}}}},
            ParameterError,
            r"In the variant 'odd': There is no parameter 'bsd_3dgs\.stepps'; did you mean 'steps'",
        ),
        (
            {"variants": ["odd"], "known_variants": {"odd": {"seed": 3}}},
            ParameterError,
            "'odd' changes 'seed', which the sweep decides",
        ),
        (
            {"variants": ["odd"], "known_variants": {"odd": {"multiview": {"plane_preset": "none"}}}},
            ParameterError,
            "In the variant 'odd': Without Latent-Plane",
        ),
        ({"prompts": ["a cat", "猫"]}, PromptError, "猫"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_before_any_work(
    session: Callable[..., KedroSession],
    tiny_models: Any,
    tmp_path: Path,
    ablation: dict[str, Any],
    kind: type[PlacidError],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as raised:
        sweep(session, models=tiny_models.parameters(), ablation=ablation)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "data").exists()


def test_a_scheduler_that_does_not_answer_is_one_sentence(
    session: Callable[..., KedroSession], tiny_models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("placid_kedro.objects.cluster._CONNECT_SECONDS", 0.2)
    with pytest.raises(PlacidError, match=r"No dask scheduler answers at tcp://127\.0\.0\.1:1 "):
        sweep(session, models=tiny_models.parameters(), ablation={"scheduler": "tcp://127.0.0.1:1"})
