"""The registered pipelines, their catalog in every environment, and what importing them costs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

ENVIRONMENTS = ("base", "draft", "test", "paper")
HEAVY = ("torch", "diffusers", "peft", "transformers", "mlflow", "numba", "trimesh", "bpy", "gsplat", "scipy")


def test_default_is_generate() -> None:
    assert "generate" in pipelines
    assert {node.name for node in pipelines["__default__"].nodes} == {
        node.name for node in pipelines["generate"].nodes
    }


@pytest.mark.parametrize("whole", ["generate", "prepare"])
def test_every_stage_is_a_namespace_and_a_pipeline_of_its_name(whole: str) -> None:
    """Collapsed, Kedro-Viz shows one box a stage, and each can be run by its name."""
    stages = {node.namespace for node in pipelines[whole].nodes}
    assert None not in stages
    for stage in stages:
        own = {node.name for node in pipelines[stage].nodes}
        assert own == {node.name for node in pipelines[whole].nodes if node.namespace == stage}
    assert not [
        name for name in pipelines[whole].datasets() if "." in name and not name.startswith("params:")
    ]


def test_every_node_says_what_it_does() -> None:
    """Kedro-Viz shows a node's function with its docstring."""
    nodes = {node.name: node.func for pipeline in pipelines.values() for node in pipeline.nodes}
    assert not [name for name, function in nodes.items() if len((function.__doc__ or "").split()) < 4]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_dataset_is_in_the_catalog(session: Callable[..., KedroSession], env: str) -> None:
    catalog = session(env=env).load_context().catalog
    for name, pipeline in pipelines.items():
        missing = {dataset for dataset in pipeline.datasets() if dataset not in catalog}
        assert not missing, f"{name} in {env}: {missing}"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_artifact_is_under_the_data_root(
    session: Callable[..., KedroSession], tmp_path: Path, env: str
) -> None:
    context = session(env=env).load_context()
    root = tmp_path / context.config_loader["globals"]["data_root"]
    # Kedro builds the catalog anew at every look at the context.
    catalog = context.catalog
    for name in catalog.keys():  # noqa: SIM118 - a catalog is no mapping
        path = getattr(catalog.get(name), "path", None)
        assert path is None or Path(path).is_relative_to(root), name


def test_everything_for_the_user_is_recorded_in_mlflow(session: Callable[..., KedroSession]) -> None:
    catalog = session(env="base").load_context().catalog
    datasets = {name: catalog.get(name) for name in pipelines["generate"].all_outputs()}
    reporting = {name for name, dataset in datasets.items() if "08_reporting" in str(dataset.path)}
    assert {"reference", "views", "gaussians", "turntable", "report"} <= reporting
    assert all(datasets[name].metadata["mlflow"] is True for name in reporting)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_two_prompts_share_no_path(session: Callable[..., KedroSession], env: str) -> None:
    def written(prompt: str) -> set[Path]:
        catalog = session(env=env, prompt=prompt).load_context().catalog
        datasets = (catalog.get(name) for name in pipelines["generate"].all_outputs())
        return {Path(dataset.path) for dataset in datasets if hasattr(dataset, "path")}

    cat, dog = written("a cat"), written("a dog")
    assert cat
    assert not cat & dog


def test_listing_pipelines_imports_nothing_heavy(project: Path) -> None:
    script = f"""
import sys
from kedro.framework.project import configure_project, pipelines, settings
configure_project("placid_kedro")
assert sorted(pipelines), settings.HOOKS
print(sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        env={"PYTHONPATH": str(project / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip().splitlines()[-1] == "[]"
