"""One run a folder: locks of the operating system, which end with the process however it ends."""

import os
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock, Timeout
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import BaseModel

from placid_kedro.app.one_run import NOTE, mark_unfinished, say_what_is_mixed
from placid_kedro.app.runners.stamps import checkpoint_path, dataset_path, stamp_path, texts_of
from placid_kedro.errors import ResourceError
from placid_kedro.files import clean_left_overs, clean_work_folder


class FolderLocks:
    """The locks that this process holds."""

    def __init__(self) -> None:
        self._held: list[FileLock] = []

    def take(self, folders: Iterable[Path]) -> None:
        """Lock folders, all or none; those that are held already are let go first.

        Raises:
            ResourceError: another run has one of them.
        """
        self.release()
        for folder in sorted(set(folders)):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(lock_path(folder), blocking=False, thread_local=False, fallback_to_soft=False)
            try:
                lock.acquire()
            except Timeout as error:
                self.release()
                raise ResourceError(
                    f"Another run works in {folder}; wait until it has ended, or give this one another seed, prompt "
                    "or data_root."
                ) from error
            self._held.append(lock)

    def release(self) -> None:
        """Let all of them go."""
        while self._held:
            self._held.pop().release()


class LockHooks:
    """Keeps other runs out of the folders of a run, clears what killed runs left there, and says which folders hold
    files of several runs.

    Nothing is written before the locks are taken, and they are let go after everything else.
    """

    def __init__(self) -> None:
        self._locks = FolderLocks()
        self._folders: list[Path] = []
        self._has_written = False
        self._data_root = Path()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where artifacts go."""
        self._data_root = context.project_path / context.config_loader["globals"]["data_root"]

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Take the locks, clean up."""
        read, written = paths_of(pipeline.inputs(), catalog), paths_of(pipeline.all_outputs(), catalog)
        inputs = {path for path in read if os.access(path.parent, os.W_OK)}  # else no run can change it
        self._locks.take(folder_of(path) for path in inputs | written)
        for path in written:
            for left in (path, stamp_path(path), checkpoint_path(path)):
                clean_left_overs(left)
        for folder in work_folders(pipeline, catalog, self._data_root):
            clean_work_folder(folder)
        self._folders = sorted({path.parent for path in written if not is_folder(path)})
        for parent in self._folders:
            clean_left_overs(parent / NOTE)
        self._has_written = False

    @hook_impl
    def before_dataset_saved(self) -> None:
        """From the first result on, the folders hold files of two runs."""
        if not self._has_written:
            self._has_written = True
            for folder in self._folders:
                mark_unfinished(folder)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Say what is of one run; let other runs in."""
        for folder in self._folders:
            say_what_is_mixed(folder)
        self._locks.release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Let other runs in; the folders say that they are not finished."""
        self._locks.release()


def paths_of(names: Iterable[str], catalog: CatalogProtocol) -> set[Path]:
    """Where datasets lie, those that live in memory left out."""
    found = (dataset_path(catalog.get(name)) for name in names if name in catalog)
    return {path.absolute() for path in found if path is not None}


def work_folders(pipeline: Pipeline, catalog: CatalogProtocol, data_root: Path) -> set[Path]:
    """Folders under the data root that the parameters of a pipeline name: its nodes keep checkpoints, renders and the
    like there, and the locks of its outputs keep other runs of it away."""
    groups = [catalog.load(name) for name in pipeline.inputs() if name.startswith("params:")]
    models = [group.model_dump(mode="json") for group in groups if isinstance(group, BaseModel)]
    places = {
        Path(os.path.expanduser(text)).absolute() for model in models for text in texts_of(model) if text
    }
    return {place for place in places if data_root.absolute() in place.parents and place.is_dir()}


def is_folder(path: Path) -> bool:
    """Whether an artifact is a folder: files have an ending."""
    return not path.suffix


def folder_of(path: Path) -> Path:
    """What is locked for an artifact: its folder, or itself where it is one."""
    return path if is_folder(path) else path.parent


def lock_path(folder: Path) -> Path:
    """The file beside a folder that its lock is on; it stays, for deleting it would let two runs in."""
    return folder.with_name(f".{folder.name}.lock")
