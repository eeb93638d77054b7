"""What is run again when something changed, and what is not."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node, pipeline
from kedro_datasets.json import JSONDataset
from pydantic import BaseModel

from placid_kedro.app.hooks import StampHooks
from placid_kedro.app.runners import StampedRunner
from placid_kedro.app.runners.stamps import node_digest, read_stamp, stamp_path, value_digest, write_stamp
from placid_kedro.errors import DataError

CALLS: list[str] = []


def double(value: float) -> float:
    CALLS.append("double")
    return 2 * value


def pair(value: float) -> tuple[float, float]:
    CALLS.append("pair")
    return value + 1, value + 2


def total(first: float, second: float, weight: float) -> float:
    CALLS.append("total")
    return first + weight * second


# double -> kept on disk -> pair -> in memory -> total -> kept on disk
PIPELINE = pipeline(
    [
        node(double, "params:value", "doubled"),
        node(pair, "doubled", ["first", "second"]),
        node(total, ["first", "second", "params:weight"], "summed"),
    ]
)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run the pipeline as a session would, with hooks; returns the nodes that ran and the result on disk."""

    def run_pipeline(
        value: float = 1.0, weight: float = 1.0, only_missing: bool = True
    ) -> tuple[list[str], Any]:
        catalog = DataCatalog(
            {
                "params:value": MemoryDataset(value),
                "params:weight": MemoryDataset(weight),
                "doubled": JSONDataset(filepath=str(tmp_path / "doubled.json")),
                "summed": JSONDataset(filepath=str(tmp_path / "summed.json")),
            }
        )
        CALLS.clear()
        hooks = StampHooks()
        manager = _create_hook_manager()
        manager.register(hooks)
        hooks.before_pipeline_run(PIPELINE, catalog)
        StampedRunner().run(PIPELINE, catalog, manager, only_missing_outputs=only_missing)
        return list(CALLS), json.loads((tmp_path / "summed.json").read_text())

    return run_pipeline


def test_first_run_makes_everything_and_second_nothing(run: Any) -> None:
    assert run() == (["double", "pair", "total"], 7.0)
    assert run() == ([], 7.0)


def test_plain_run_makes_everything(run: Any) -> None:
    run()
    assert run(only_missing=False) == (["double", "pair", "total"], 7.0)


def test_a_late_parameter_keeps_the_early_stage(run: Any) -> None:
    run()
    assert run(weight=2.0) == (["pair", "total"], 11.0)  # pair again: its outputs live in memory
    assert run(weight=2.0) == ([], 11.0)


def test_an_early_parameter_runs_all_that_follows(run: Any) -> None:
    run()
    assert run(value=2.0) == (["double", "pair", "total"], 11.0)


def test_an_artifact_changed_by_hand_is_made_again(run: Any, tmp_path: Path) -> None:
    run()
    path = tmp_path / "doubled.json"
    path.write_text("5.0")
    later = time.time_ns() + 10**9
    os.utime(path, ns=(later, later))
    assert run() == (["double"], 7.0)  # the sum was made from the right value and stays
    assert json.loads(path.read_text()) == 2.0


def test_a_copy_with_other_times_is_up_to_date(run: Any, tmp_path: Path) -> None:
    run()
    later = time.time_ns() + 10**9
    for path in tmp_path.iterdir():
        os.utime(path, ns=(later, later))
    assert run() == ([], 7.0)


@pytest.mark.parametrize("lost", ["doubled.json", ".doubled.json.stamp", "summed.json"])
def test_a_lost_file_or_stamp_is_made_again(run: Any, tmp_path: Path, lost: str) -> None:
    run()
    (tmp_path / lost).unlink()
    ran, result = run()
    assert result == 7.0
    assert ("double" in ran) == ("doubled" in lost)
    assert (tmp_path / lost).exists()


def test_a_run_that_fails_while_saving_leaves_no_stamp(tmp_path: Path) -> None:
    class Failing(JSONDataset):
        def save(self, data: Any) -> None:
            raise OSError("disk")

    catalog = DataCatalog(
        {"params:value": MemoryDataset(1.0), "doubled": Failing(filepath=str(tmp_path / "doubled.json"))}
    )
    first = PIPELINE.only_nodes(PIPELINE.nodes[0].name)
    (tmp_path / "doubled.json").write_text("2.0")
    write_stamp(tmp_path / "doubled.json", "old")
    hooks = StampHooks()
    manager = _create_hook_manager()
    manager.register(hooks)
    hooks.before_pipeline_run(first, catalog)
    with pytest.raises(Exception, match="disk"):
        StampedRunner().run(first, catalog, manager)
    assert not stamp_path(tmp_path / "doubled.json").exists()


def test_nothing_to_run_is_an_empty_pipeline(tmp_path: Path) -> None:
    assert StampedRunner().run(Pipeline([]), DataCatalog(), only_missing_outputs=True) == {}


class Settings(BaseModel):
    rank: int
    model: str


def test_digest_of_a_parameter_sees_a_file_beside_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture's or point cloud's name needs no `./`; a bare word is never a file."""
    monkeypatch.chdir(tmp_path)
    for name, counts in (("photo.png", True), ("cactus", False)):
        (tmp_path / name).write_bytes(b"one")
        before = value_digest(Settings(rank=4, model=name))
        (tmp_path / name).write_bytes(b"another")
        assert (before != value_digest(Settings(rank=4, model=name))) == counts


def test_digest_of_a_parameter_sees_values_and_the_files_it_names(tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"1")
    before = value_digest(Settings(rank=4, model=str(tmp_path)))
    assert before == value_digest(Settings(rank=4, model=str(tmp_path)))
    assert before != value_digest(Settings(rank=5, model=str(tmp_path)))
    weights.write_bytes(b"22")
    assert before != value_digest(Settings(rank=4, model=str(tmp_path)))


def test_digest_of_a_node_sees_function_and_inputs() -> None:
    same = node_digest(double, {"a": "1", "b": "2"})
    assert same == node_digest(double, {"b": "2", "a": "1"})
    assert same != node_digest(pair, {"a": "1", "b": "2"})
    assert same != node_digest(double, {"a": "1", "b": "3"})


def test_broken_stamp_counts_as_none(tmp_path: Path) -> None:
    artifact = tmp_path / "a.txt"
    artifact.write_text("x")
    assert read_stamp(artifact) is None
    write_stamp(artifact, "digest")
    assert read_stamp(artifact) == "digest"
    stamp_path(artifact).write_text("{")
    assert read_stamp(artifact) is None


def test_stamps_tell_what_was_read_not_what_was_planned(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program changes the file between the node that wrote it and the node that reads it."""
    run()
    path = tmp_path / "doubled.json"
    saved = StampHooks.after_dataset_saved

    def overlapped(self: StampHooks, dataset_name: str, node: Any) -> None:
        saved(self, dataset_name, node)
        if dataset_name == "doubled":
            path.write_text("50.0")
            write_stamp(path, "another run's")

    with monkeypatch.context() as patch:
        patch.setattr("placid_kedro.app.hooks.StampHooks.after_dataset_saved", hook_impl(overlapped))
        assert run(value=2.0, only_missing=False) == (["double", "pair", "total"], 103.0)
    assert run(value=2.0) == (["double", "pair", "total"], 11.0)


def test_a_file_that_changes_while_it_is_read_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "doubled.json"
    path.write_text("1.0")
    catalog = DataCatalog({"doubled": JSONDataset(filepath=str(path))})
    hooks = StampHooks()
    hooks.before_pipeline_run(pipeline([node(pair, "doubled", ["first", "second"])]), catalog)
    hooks.before_dataset_loaded("doubled")
    path.write_text("10.0")
    with pytest.raises(DataError, match=r"doubled\.json was changed while it was read"):
        hooks.after_dataset_loaded("doubled")
