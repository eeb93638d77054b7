"""One run a folder, and what a killed run left is cleared by the next."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from placid_kedro.app.locks import FolderLocks, LockHooks, folder_of, lock_path
from placid_kedro.app.one_run import NOTE, is_of_one_run, say_what_is_mixed
from placid_kedro.app.runners.stamps import current_digest, write_stamp
from placid_kedro.errors import ResourceError

HOLDER = """
import sys
from pathlib import Path
from placid_kedro.app.locks import FolderLocks
locks = FolderLocks()
locks.take([Path(sys.argv[1])])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_run_is_told_at_once_and_the_lock_ends_with_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "a-cat"
    command = [sys.executable, "-c", HOLDER, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        mine = FolderLocks()
        with pytest.raises(ResourceError, match=r"Another run works in .*a-cat; wait"):
            mine.take([tmp_path / "a-bear", folder])
        FolderLocks().take([tmp_path / "a-bear"])  # all or none: this one was let go
        other.kill()
        other.wait()
        mine.take([folder])
    with pytest.raises(ResourceError):
        FolderLocks().take([folder])
    mine.release()
    FolderLocks().take([folder])


def test_what_is_locked_for_an_artifact() -> None:
    assert folder_of(Path("data/08_reporting/a-cat/views.png")) == Path("data/08_reporting/a-cat")
    assert folder_of(Path("data/06_models/latent_plane")) == Path("data/06_models/latent_plane")
    assert lock_path(Path("data/06_models/latent_plane")) == Path("data/06_models/.latent_plane.lock")


class Catalog(dict[str, Any]):
    """Names to datasets that have a path only."""


def hooks_of(folder: Path) -> tuple[LockHooks, Any, Any]:
    catalog = Catalog(
        views=SimpleNamespace(path=folder / "views.png"), object=SimpleNamespace(path=folder / "object.ply")
    )
    pipeline = SimpleNamespace(inputs=lambda: {"views"}, all_outputs=lambda: {"object", "in_memory"})
    return LockHooks(), pipeline, catalog


def test_left_overs_go_and_a_run_that_is_killed_has_said_so(tmp_path: Path) -> None:
    folder = tmp_path / "a-cat"
    folder.mkdir()
    left = [
        ".tmp-0123456789ab-object.ply",
        ".tmp-0123456789ab-.object.ply.stamp",
        ".tmp-0123456789ab-UNFINISHED.txt",
        ".tmp-0123456789ab-views.png",
    ]
    for name in left:
        (folder / name).write_text("half")
    hooks, pipeline, catalog = hooks_of(folder)
    hooks.before_pipeline_run(pipeline, catalog)
    # What this run only reads is another run's to clear.
    assert {path.name for path in folder.iterdir()} == {left[3]}
    hooks.before_dataset_saved()
    assert "may be of different runs" in (folder / NOTE).read_text()
    hooks.on_pipeline_error()
    assert (folder / NOTE).exists()
    hooks.before_pipeline_run(pipeline, catalog)  # the lock is free again
    hooks.before_dataset_saved()
    hooks.after_pipeline_run()
    assert not (folder / NOTE).exists()


def test_a_run_that_writes_nothing_leaves_no_note(tmp_path: Path) -> None:
    hooks, pipeline, catalog = hooks_of(tmp_path / "a-cat")
    hooks.before_pipeline_run(pipeline, catalog)
    hooks.on_pipeline_error()
    assert not (tmp_path / "a-cat" / NOTE).exists()


class Work(BaseModel):
    folder: str
    name: str


def test_work_folders_under_the_data_root_are_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("data/07/renders/.tmp-0123456789ab-x.png", "mine/.tmp-0123456789ab-x.png"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("half")
    hooks = LockHooks()
    hooks.after_context_created(
        SimpleNamespace(project_path=tmp_path, config_loader={"globals": {"data_root": "data"}})
    )

    class Loaded(Catalog):
        def load(self, name: str) -> Any:
            return {"params:a": Work(folder="data/07/renders", name="data"), "params:b": "mine"}[name]

    names = {"params:a", "params:b"}
    hooks.before_pipeline_run(SimpleNamespace(inputs=lambda: names, all_outputs=set), Loaded())
    assert not list((tmp_path / "data").rglob(".tmp-*"))
    assert list((tmp_path / "mine").iterdir())


def make(path: Path, content: str, *inputs: Path) -> Path:
    """A file with a stamp that names what it was made from."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    write_stamp(path, f"digest of {content}", {each: current_digest(each) for each in inputs})
    return path


def test_files_of_several_runs_are_named(tmp_path: Path) -> None:
    reference = make(tmp_path / "a" / "reference.png", "one")
    views = make(tmp_path / "a" / "views.png", "of one", reference)
    lora = make(tmp_path / "b" / "lora.safetensors", "of one, too", views)
    gaussians = make(tmp_path / "a" / "gaussians.ply", "of all", lora)
    say_what_is_mixed(tmp_path / "a")
    assert is_of_one_run(gaussians) and not (tmp_path / "a" / NOTE).exists()
    make(reference, "another")
    assert is_of_one_run(reference)
    say_what_is_mixed(tmp_path / "a")
    assert "have changed since: gaussians.ply, views.png." in (tmp_path / "a" / NOTE).read_text()
    make(views, "of another", reference)
    assert not is_of_one_run(gaussians)  # by way of lora, in the other folder
    make(lora, "of another, too", views)
    make(gaussians, "of all others", lora)
    say_what_is_mixed(tmp_path / "a")
    assert not (tmp_path / "a" / NOTE).exists()
