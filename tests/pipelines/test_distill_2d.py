"""`distill_2d` through a session on tiny models, and the choice of the algorithm for `generate`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from kedro.framework.session import KedroSession
from PIL import Image
from plotly.io import read_json
from safetensors.torch import load_file, save_file

from placid_kedro.app.runtime_params import parse_params
from placid_kedro.config import Distill2dParameters, PromptProcessorParameters, RunParameters
from placid_kedro.diffusion.text_to_image import load_text_to_image, sample_images
from placid_kedro.distillation import DistillationConfig, distiller
from placid_kedro.distillation.lab.config import LabSizeParameters, TruthParameters
from placid_kedro.distillation.lab.report import LabReport
from placid_kedro.distillation.timesteps import Uniform
from placid_kedro.errors import GuidanceError, ModelError, ParameterError, PlacidError, PromptError
from placid_kedro.pipelines.distill_2d.nodes import FIGURES, run_algorithms

OTHERS = ("sds", "sds_mild", "csd", "nfsd", "ssd", "ism", "vsd", "vsd_mgda")
ALGORITHMS = (*OTHERS, "bsd", "bsd_sds_weighted", "bsd_auto", "bsd_official_2d", "bsd_official_3d")
SWEEPS = ("bsd lam 5", "bsd lam 25", "ratio 25")


def distill_2d(create: Callable[..., KedroSession], *place: Any, **parameters: Any) -> None:
    with create(*place, **parameters) as kedro_session:
        kedro_session.run(pipeline_names=["distill_2d"])


@pytest.fixture(scope="module")
def finished(
    session_in: Callable[..., KedroSession], tiny_models: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder in which the pipeline has run once."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        distill_2d(session_in, folder, models=tiny_models.parameters())
    return folder


@pytest.fixture(scope="module")
def report(finished: Path) -> LabReport:
    path = finished / "data/test/08_reporting/distill_2d/report.json"
    return LabReport.model_validate_json(path.read_bytes())


def test_every_figure_is_an_image_and_a_plot(finished: Path) -> None:
    folder = finished / "data/test/08_reporting/distill_2d"
    for figure in FIGURES:
        with Image.open(folder / f"{figure}.png") as image:
            colours = image.convert("RGB").getcolors(maxcolors=1 << 24)
            assert colours is not None and len(colours) > 50
        assert len(read_json(folder / f"{figure}.json").data) > 0
    grid = read_json(folder / "figure3_over_trained.json")
    assert len(grid.data) == 2 * (1 + len(ALGORITHMS))  # two samples; ordinary diffusion has a column, too


def test_a_row_for_each_run_and_snapshot(finished: Path, report: LabReport) -> None:
    assert len(report.rows) == 1 + 2 * (len(ALGORITHMS) + len(SWEEPS))
    assert {row.label for row in report.rows} == {"diffusion", *ALGORITHMS, *SWEEPS}
    table = pd.read_parquet(finished / "data/test/08_reporting/distill_2d/table.parquet")
    assert len(table) == len(report.rows)
    assert [claim.key for claim in report.claims] == ["a", "b", "c", "d", "e"]


def test_forwards_are_those_of_the_papers(report: LabReport) -> None:
    """A step takes e_c and e_u, NFSD e_neg, VSD e_lora and a training step besides."""
    forwards = {row.label: row.forwards for row in report.rows if row.steps == 2}
    for label in ("sds", "csd", "ssd", "bsd", "ratio 25"):
        assert forwards[label] == 2 * 2
    assert forwards["nfsd"] == 2 * 3
    assert forwards["vsd"] == forwards["vsd_mgda"] == 2 * 4
    assert forwards["ism"] > 2 * 3


def test_the_same_algorithm_is_computed_once(finished: Path, report: LabReport) -> None:
    runs = list((finished / "data/test/07_model_output/distill_2d").glob("*-*.safetensors"))
    assert len(runs) == len(ALGORITHMS) + len(SWEEPS) - 1
    alone, swept = report.row("bsd_sds_weighted", 2), report.row("bsd lam 25", 2)
    assert alone is not None and swept is not None
    assert alone.seconds == swept.seconds
    assert alone.measures["chroma"].mean == swept.measures["chroma"].mean


def test_ground_truth_begins_with_ordinary_samples_of_the_seed(
    finished: Path, report: LabReport, tiny_models: Any
) -> None:
    truth = load_file(finished / "data/test/07_model_output/distill_2d/truth.safetensors")["images"]
    assert truth.shape == (2, 2, 3, 64, 64)
    expected = sample_images(
        load_text_to_image(tiny_models.text_to_image, torch.device("cpu")),
        ["a cactus"],
        steps=2,
        guidance_scale=report.setting.truth_guidance_scale,
        generator=torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(truth[1, 0], expected[0], atol=1e-4, rtol=1e-4)


def test_a_second_run_reads_the_runs_back(
    finished: Path, session_in: Callable[..., KedroSession], tiny_models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    reporting = finished / "data/test/08_reporting/distill_2d/report.json"
    before = reporting.read_bytes()

    def computed(*_: Any) -> None:
        raise AssertionError("a finished run was computed again")

    monkeypatch.setattr(distiller.Distiller, "__call__", computed)
    distill_2d(session_in, finished, models=tiny_models.parameters())
    assert reporting.read_bytes() == before


def changed_lab(**changes: Any) -> dict[str, Any]:
    return {"distill_2d": changes}


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        (changed_lab(size="huge"), ParameterError, "a size of default, quick, tiny, but it is 'huge'"),
        (changed_lab(sizes={"tiny": {"lam": [0.0]}}), ParameterError, "lam.*greater than 0"),
        (changed_lab(sizes={"tiny": {"lam": [-5.0]}}), ParameterError, "lam.*greater than 0"),
        (changed_lab(sizes={"tiny": {"lam": [5.0, 5.0]}}), ParameterError, "lam once"),
        (changed_lab(sizes={"tiny": {"over_trained": 1}}), ParameterError, "more over_trained steps"),
        (changed_lab(sizes={"tiny": {"seeds": [0, 1, 2]}}), ParameterError, "at least its 3 seeds"),
        (
            changed_lab(algorithms={"bsd": {"lam": 0}}),
            ParameterError,
            r"algorithms\.bsd\.lam.*greater than 0",
        ),
        (changed_lab(algorithms={"bsd": {"lamb": 1.0}}), ParameterError, "did you mean 'lam'"),
        (changed_lab(timesteps={"high": 1.5}), ParameterError, "less than or equal to 1"),
        (changed_lab(timesteps={"low": 0.99}), ParameterError, "below high"),
        (changed_lab(sizes={"tiny": {"prompts": ["a cat", " "]}}), PromptError, "empty"),
        ({"distillation": {"lam": 0.0}}, ParameterError, r"distillation\.lam.*greater than 0"),
        ({"models": {"scorer": "./nowhere"}}, ModelError, "'scorer' cannot be had"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(
    session: Callable[..., KedroSession],
    tiny_models: Any,
    tmp_path: Path,
    parameters: dict[str, Any],
    kind: type[PlacidError],
    said: str,
) -> None:
    models = {**tiny_models.parameters(), **parameters.get("models", {})}
    with pytest.raises(kind, match=said) as raised:
        distill_2d(session, **{**parameters, "models": models})
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "data").rglob("*.safetensors"))


def test_models_that_it_does_not_take_may_be_missing(
    session: Callable[..., KedroSession], tiny_models: Any
) -> None:
    models = {**tiny_models.parameters(), "zero123": "./nowhere", "latent_plane": "./nowhere"}
    with session(models=models) as kedro_session:
        kedro_session.run(pipeline_names=["distill_2d"], node_names=["distill_2d.sample_ground_truth"])


RUN = RunParameters(device="cpu", threads=1, report_seconds=1.0, free_disk_mb=0.0)
RULES = PromptProcessorParameters(
    max_characters=200, scripts=("LATIN",), view_template="{prompt}, {view} view", known_words=None
)


def lab_of(folder: Path, algorithm: DistillationConfig, patience: int = 20) -> Distill2dParameters:
    size = LabSizeParameters(
        prompts=("bed",),
        seeds=(0,),
        converged=1,
        over_trained=3,
        truth_per_prompt=1,
        lam=(25.0,),
        ratios=(25.0,),
    )
    return Distill2dParameters(
        size="one",
        sizes={"one": size},
        algorithms={"mine": algorithm},
        swept="paper",
        learning_rate=0.06,
        timesteps=Uniform(),
        negative_prompt="ugly",
        patience=patience,
        checkpoint_every=1,
        truth=TruthParameters(steps=1, guidance_scale=1.0),
        folder=str(folder),
    )


def test_models_that_predict_noise_or_v(
    tiny_models: Any, stable_diffusion_folder: Path, tmp_path: Path
) -> None:
    """The embedded kind predicts v, Stable Diffusion noise; both go through the same door."""
    for source, prediction in (
        (tiny_models.text_to_image, "v_prediction"),
        (stable_diffusion_folder, "epsilon"),
    ):
        model = load_text_to_image(source, torch.device("cpu"))
        assert model.schedule.prediction_type == prediction
        runs = run_algorithms(RULES, str(source), RUN, lab_of(tmp_path, DistillationConfig(algorithm="csd")))
        assert runs["mine"].skipped == 0
        assert all(
            torch.isfinite(snapshot).all() for run in runs.values() for snapshot in run.snapshots.values()
        )


@pytest.fixture
def broken_weights(tiny_models: Any, tmp_path: Path) -> Path:
    """A text-to-image model whose last layer holds NaN."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny_models.text_to_image, folder)
    path = folder / "unet/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_out.bias"] = torch.full_like(weights["conv_out.bias"], torch.nan)
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def test_weights_that_are_no_numbers_are_not_loaded(broken_weights: Path, tmp_path: Path) -> None:
    algorithm = DistillationConfig(algorithm="sds")
    with pytest.raises(ModelError, match=r"unet hold values that are not finite, in conv_out\.bias"):
        run_algorithms(RULES, str(broken_weights), RUN, lab_of(tmp_path, algorithm))


def test_nan_guidance_is_refused(
    broken_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network may also break on its way: here its weights are let in."""
    monkeypatch.setattr("placid_kedro.diffusion.loading.first_not_finite", lambda _: None)
    monkeypatch.setattr("placid_kedro.distillation.lab.experiment.Lab.seconds_of_a_step", lambda *_: 0.0)
    algorithm = DistillationConfig(algorithm="sds")
    with pytest.raises(
        GuidanceError, match=r"run 'mine' stopped: the guidance of sample 0 is not finite.*10%"
    ):
        run_algorithms(RULES, str(broken_weights), RUN, lab_of(tmp_path, algorithm))
    with pytest.raises(GuidanceError, match=r"run 'mine' stopped: .* and 1 steps in a row"):
        run_algorithms(RULES, str(broken_weights), RUN, lab_of(tmp_path, algorithm, patience=1))


def test_generate_takes_the_algorithm_by_parameter(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kedro run --pipeline generate --params distillation.algorithm=sds`, to the report."""
    calls = {"sds": 0, "bsd": 0}

    def counting(name: str) -> Callable[..., Any]:
        function = getattr(distiller, name)

        def wrapper(*arguments: Any) -> Any:
            calls[name] += 1
            return function(*arguments)

        return wrapper

    for name in calls:
        monkeypatch.setattr(distiller, name, counting(name))
    parameters = parse_params("distillation.algorithm=sds,distillation.guidance_scale=30.0")
    with session(**parameters, models=tiny_models.parameters()) as kedro_session:
        kedro_session.run(pipeline_names=["generate"])
    assert calls == {"sds": 4, "bsd": 0}  # as many as conf/test has steps
    report = json.loads((tmp_path / "data/test/08_reporting/a-teddy-bear/report.json").read_text())
    assert report["distillation"]["algorithm"] == "sds"
    assert report["distillation"]["guidance_scale"] == 30.0
