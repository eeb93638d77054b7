"""What a session records and leaves behind."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import pipelines
from kedro.pipeline import node

from placid_kedro.app.experiment_page import RUNS_PAGE, SWEEPS_PAGE
from placid_kedro.app.node_names import stage_of
from placid_kedro.app.run_context import RunContext, current_run, set_current_run
from placid_kedro.app.run_record import parameter_groups, record_of, run_name, run_tags
from placid_kedro.config import DistillationConfig, LoraParameters
from placid_kedro.config.check import check_parameters
from placid_kedro.errors import PlacidError
from placid_kedro.files import content_hash
from placid_kedro.pipelines.prompt import create_pipeline
from placid_kedro.pipelines.t3bench_eval import create_pipeline as create_evaluation
from placid_kedro.splats import DensificationConfig


def test_the_stage_of_a_node_is_its_namespace() -> None:
    assert {stage_of(one) for one in create_pipeline().nodes} == {"prompt"}
    assert stage_of(node(len, "a", "b", name="length")) == "length"


def test_groups_of_parameters_a_pipeline_takes() -> None:
    assert parameter_groups(create_pipeline()) == {"prompt", "seed", "models", "prompt_processor"}


def test_every_group_of_parameters_reaches_nodes_as_a_model(session: Callable[..., Any]) -> None:
    catalog = session(lora={"steps": 7}).load_context().catalog
    assert isinstance(catalog.load("params:lora"), LoraParameters)
    assert catalog.load("params:lora").steps == 7
    assert isinstance(catalog.load("params:bsd_3dgs.densification"), DensificationConfig)
    assert isinstance(catalog.load("params:distillation"), DistillationConfig)


def test_tags_name_commit_pipeline_and_versions() -> None:
    tags = run_tags(Path(__file__).parents[2], {"pipeline_names": ["generate"], "env": None})
    assert tags["pipeline"] == "generate"
    assert len(tags["mlflow.source.git.commit"].removesuffix("-dirty")) == 40
    assert tags["version.torch"].startswith("2.13.0")


def test_tags_of_a_folder_without_git(tmp_path: Path) -> None:
    assert run_tags(tmp_path, {})["mlflow.source.git.commit"] == "unknown"


def test_outside_a_run_the_context_is_silent() -> None:
    assert list(current_run().progress.track([1, 2])) == [1, 2]
    context = RunContext()
    set_current_run(context)
    assert current_run() is context
    set_current_run(None)
    assert current_run() is not context


@pytest.fixture
def recorded(session: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run of the prompt stage with tracking on, and MLflow's client on its store."""
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with session(prompt="a palm tree", seed=2, tracking={"enabled": True}) as kedro_session:
        kedro_session.run(pipeline_names=["generate"], node_names=["prompt.process_prompt"])
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("test")
    return client.search_runs([experiment.experiment_id])


def test_a_session_is_recorded(recorded: Any) -> None:
    (run,) = recorded
    assert run.info.run_name == "a-palm-tree seed 2 test"
    assert run.info.status == "FINISHED"
    assert run.data.params["prompt"] == "a palm tree"
    assert run.data.params["prompt_processor.max_characters"] == "200"
    assert "lora.rank" not in run.data.params  # no node of this run takes it
    assert run.data.tags["environment"] == "test"
    assert run.data.metrics["seconds/prompt"] >= 0
    assert run.data.metrics["peak_mib/prompt"] > 0


def test_a_run_that_is_refused_at_the_door_is_not_recorded(
    session: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with (
        pytest.raises(PlacidError, match="nowhere"),
        session(prompt="a cat", models={"scorer": "./nowhere"}, tracking={"enabled": True}) as kedro_session,
    ):
        kedro_session.run(pipeline_names=["generate"])
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "a-cactus bsd seed 0"),
        ({"seed": 3, "distillation": {"algorithm": "sds"}}, "a-cactus sds seed 3"),
        ({"lora": {"steps": 50}, "tracking": {"enabled": False}}, "a-cactus bsd seed 0 lora.steps=50"),
    ],
)
def test_the_name_says_what_differs(session: Callable[..., Any], changes: dict[str, Any], name: str) -> None:
    given = {"prompt": "a cactus", **changes}
    parameters = check_parameters(session(**given).load_context().config_loader["parameters"])
    assert run_name(parameters, {"prompt", "distillation"}, {"runtime_params": given}) == name
    assert run_name(parameters, {"filter"}, {"pipeline_names": ["prepare"]}) == "prepare"
    assert run_name(parameters, {"filter"}, {"pipeline_names": ["prepare"], "env": "local"}) == "prepare"
    assert (
        run_name(parameters, {"filter"}, {"pipeline_names": ["prepare"], "env": "paper"}) == "prepare paper"
    )
    assert run_name(parameters, {"ablation"}, {}) == f"sweep {parameters.ablation.name}"


def test_models_are_recorded_by_the_hash_of_their_files(
    session: Callable[..., Any], tiny_models: Any, tmp_path: Path
) -> None:
    context = session(models=tiny_models.parameters()).load_context()
    parameters = check_parameters(context.config_loader["parameters"])
    judge = create_evaluation().filter(node_names=["t3bench_eval.judge"])
    record = record_of(parameters, judge, context.catalog, {"env": "test"}, tmp_path)
    (scorer,) = (one for one in record.sources if one.name == "scorer")
    (tmp_path / "copy").mkdir()
    shutil.copytree(tiny_models.scorer, tmp_path / "copy" / "scorer")
    assert content_hash(tmp_path / "copy" / "scorer")[:36] == scorer.digest
    assert "torch==" in record.packages
    assert record.tags["variant"] == "bsd"


def test_a_sweep_names_variant_and_sources_of_its_cells_itself(
    session: Callable[..., Any], tiny_models: Any, tmp_path: Path
) -> None:
    context = session(models=tiny_models.parameters(), tracking={"run": "0123"}).load_context()
    parameters = check_parameters(context.config_loader["parameters"])
    record = record_of(parameters, create_evaluation(), context.catalog, {"env": "test"}, tmp_path)
    assert record.sources == () and "variant" not in record.tags


@pytest.mark.parametrize(("pipeline", "page"), [("generate", RUNS_PAGE), ("ablation", SWEEPS_PAGE)])
def test_the_last_line_of_a_sweep_leads_to_its_objects(
    session: Callable[..., Any], tiny_models: Any, tmp_path: Path, pipeline: str, page: str
) -> None:
    context = session(models=tiny_models.parameters()).load_context()
    parameters = check_parameters(context.config_loader["parameters"])
    assert record_of(parameters, pipelines[pipeline], context.catalog, {"env": "test"}, tmp_path).page == page
