"""Where a model comes from: the first of its sources that can be had."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from placid_kedro.errors import ModelError
from placid_kedro.files import is_local
from placid_kedro.models.hub import Hub, HubUnreachable, Repository
from placid_kedro.models.layout import INDEX, file_sizes, needed_files, read_object
from placid_kedro.models.weights import check_weights

_HUB_NAME = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")


class NotThere(ModelError):
    """A source does not have the model."""


@dataclass(frozen=True)
class Availability:
    """A model that can be had.

    Attributes:
        source: its name among the parameters: a folder, or `owner/name` or `owner/name@revision` on the hub.
        folder: where it lies, complete; None while something is to be fetched.
        repository: on the hub, for what is to be fetched.
        files: of the model, by path, with their bytes.
        to_fetch: those of them that are not here.
        passed_over: why each source before this one cannot be had.
    """

    source: str
    folder: Path | None
    repository: Repository | None
    files: Mapping[str, int]
    to_fetch: Mapping[str, int] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()

    @property
    def pinned(self) -> str:
        """The source, on the hub with the commit."""
        if is_local(self.source):
            return self.source
        commit = self.repository.commit if self.repository else self.folder.name if self.folder else ""
        return f"{self.source.partition('@')[0]}@{commit}"


def as_sources(given: str | Sequence[str]) -> tuple[str, ...]:
    """One source or several, as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given)


def find_model(given: str | Sequence[str], root: Path, hub: Hub | None = None) -> Availability:
    """The first source of a model that can be had. Fetches nothing but an index of a few lines.

    A folder that is not there, and a repository that the hub does not give or that lacks files, is passed over; a
    folder that is there but incomplete or damaged is an error. A complete copy in the hub's cache needs no network.

    Args:
        given: a source or several, best first. A path that begins with `.`, `/` or `~` is a folder (relative to
            `root`), any other name a model on the hub: `owner/name`, or `owner/name@revision` for a branch, a tag or a
            commit.
        root: the project's folder.
        hub: the client; by default the hub's own address and cache.

    Raises:
        ModelError: saying of every source why it cannot be had.
    """
    hub = hub or Hub()
    passed_over: list[str] = []
    reachable = True
    for source in as_sources(given):
        found: Availability | None = None
        try:
            if is_local(source):
                found = _local(source, root)
            else:
                found = _cached(source, hub) or (_on_hub(source, hub) if reachable else None)
        except HubUnreachable as error:
            reachable = False
            passed_over.append(str(error))
        except NotThere as error:
            passed_over.append(str(error))
        else:
            if found is None:
                passed_over.append(f"{source} is not in the hub's cache")
        if found is not None:
            return replace(found, passed_over=tuple(passed_over))
    raise NotThere("; ".join(passed_over))


def obtain_model(available: Availability, hub: Hub | None = None) -> Path:
    """The folder of a model, after fetching what is missing.

    Raises:
        ModelError: the hub stops answering.
    """
    if available.folder is not None:
        return available.folder
    assert available.repository is not None, "what is not here is on the hub"
    return (hub or Hub()).fetch(available.repository, list(available.files))


def local_folder(given: str | Sequence[str], root: Path) -> Path | None:
    """The folder that a model is taken from, None for one of the hub or that is not there. Nothing is opened."""
    for source in as_sources(given):
        if not is_local(source):
            return None
        folder = _folder(source, root)
        if folder.is_dir():
            return folder
    return None


def _folder(source: str, root: Path) -> Path:
    return (root / Path(source).expanduser()).resolve()


def _local(source: str, root: Path) -> Availability:
    folder = _folder(source, root)
    if not folder.is_dir():
        raise NotThere(f"there is no folder {folder}")
    if not (folder / INDEX).is_file():
        raise ModelError(
            f"{source} holds no model ({INDEX} is missing in {folder}); "
            "give a folder in the diffusers layout or a hub id."
        )
    return Availability(source, folder, None, _complete(folder))


def _complete(folder: Path) -> dict[str, int]:
    """The files of a whole model."""
    sizes = file_sizes(folder)
    needed, lacking = needed_files(read_object(folder / INDEX), sizes)
    if lacking:
        raise ModelError(
            f"{folder} lacks {', '.join(lacking)}; it is half-downloaded or damaged: get the missing files again."
        )
    for name in needed:
        check_weights(folder / name)
    return {name: sizes[name] for name in needed}


def _parse(source: str) -> tuple[str, str | None]:
    matched = _HUB_NAME.fullmatch(source)
    if matched is None:
        raise NotThere(
            f"{source!r} is neither a folder (./, / or ~) nor a model on the hub (owner/name@revision)"
        )
    return matched["name"], matched["revision"]


def _cached(source: str, hub: Hub) -> Availability | None:
    folder = hub.cached_folder(*_parse(source))
    if folder is None:
        return None
    sizes = file_sizes(folder)
    needed, lacking = needed_files(read_object(folder / INDEX), sizes)
    return None if lacking else Availability(source, folder, None, {name: sizes[name] for name in needed})


def _on_hub(source: str, hub: Hub) -> Availability:
    name, revision = _parse(source)
    try:
        repository = hub.repository(name, revision)
    except HubUnreachable:
        raise
    except ModelError as error:
        raise NotThere(str(error)) from error
    if INDEX not in repository.sizes:
        raise NotThere(f"{name} on the hub is no model in the diffusers layout ({INDEX} is missing)")
    folder = hub.fetch(repository, [INDEX])
    needed, lacking = needed_files(read_object(folder / INDEX), repository.sizes)
    if lacking:
        raise NotThere(f"{name} on the hub lacks {', '.join(lacking)}")
    here = file_sizes(folder)
    files = {file: repository.sizes[file] for file in needed}
    return Availability(
        source, None, repository, files, {file: size for file, size in files.items() if file not in here}
    )
