"""The models of a run before its first stage: which are here, what is fetched from where, and what cannot serve."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from placid_kedro.config import ModelsParameters
from placid_kedro.errors import DataError, ModelError, PlacidError, ResourceError
from placid_kedro.files import MANIFEST, is_local, verify_folder
from placid_kedro.latent_plane.config import MultiviewParameters
from placid_kedro.models import INDEX, Availability, Hub, find_model, read_object
from placid_kedro.models.availability import NotThere
from placid_kedro.models.layout import NAMES
from placid_kedro.models.suitability import check_kind, check_parts, check_plane

_MIB = 2**20
_CONFIGS = ("config.json", "scheduler_config.json")
_EMBEDDED = "get the complete repository of this project, or make it with `kedro run --pipeline pretrain`"
_MADE = {
    "latent_plane": "make a folder of the authors' weights with `kedro run --env paper --pipeline import_latent_plane`,"
    " train a plane with `kedro run --env paper --pipeline prepare`, or go without one with --params "
    "multiview.plane_preset=none,init.source.kind=sphere",
    "zero123": "make a folder of the published zero123-xl.ckpt with `kedro run --env paper --pipeline import_zero123`",
    "shap_e": "give init.source another kind, such as file or random",
}


@dataclass(frozen=True)
class ModelCheck:
    """What was found of one model.

    Attributes:
        name: among the parameters `models`.
        available: where it comes from; None where it cannot be had.
        problem: the sentence that says why it cannot be had or cannot serve; None where it can.
    """

    name: str
    available: Availability | None
    problem: PlacidError | None


def look_at_models(
    models: ModelsParameters,
    root: Path,
    needed: Collection[str] | None = None,
    hub: Hub | None = None,
    multiview: MultiviewParameters | None = None,
) -> list[ModelCheck]:
    """Look at every model, without an error, without loading one, and fetching nothing but small configurations.

    Args:
        models: where each comes from.
        root: the project's folder.
        needed: names of those that the run takes; all by default.
        hub: the client, the real one by default.
        multiview: the views that Latent-Plane is for, where the run makes views.
    """
    hub = hub or Hub()
    checks: list[ModelCheck] = []
    configs: dict[str, Mapping[str, Any]] = {}
    for name, sources in models:
        if needed is not None and name not in needed:
            continue
        available = None
        try:
            available = _find(name, sources, root, hub)
            configs[name] = _check_serves(name, available, hub)
        except ModelError as error:
            checks.append(ModelCheck(name, available, error))
        else:
            checks.append(ModelCheck(name, available, None))
    return [_held_against(check, checks, configs, multiview) for check in checks]


def check_models(
    models: ModelsParameters,
    root: Path,
    needed: Collection[str] | None = None,
    hub: Hub | None = None,
    multiview: MultiviewParameters | None = None,
) -> list[Availability]:
    """Refuse a run one of whose models cannot be had, cannot serve, or does not fit on the disk.

    Args: as of `look_at_models`.

    Returns:
        Where each of them comes from.

    Raises:
        ModelError: the first that cannot be had or cannot serve.
        ParameterError: Latent-Plane was made for other views.
        ResourceError: there is no room for what is to be fetched.
    """
    hub = hub or Hub()
    checks = look_at_models(models, root, needed, hub, multiview)
    for check in checks:
        if check.problem is not None:
            raise check.problem
    found = [check.available for check in checks if check.available is not None]
    check_room(found, hub)
    return found


def check_room(found: Collection[Availability], hub: Hub) -> None:
    """Refuse to fetch more than the hub's cache has room for.

    Raises:
        ResourceError: naming the folder and both sizes.
    """
    wanted = sum(sum(available.to_fetch.values()) for available in found) / _MIB
    cache = hub.cache_folder
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(existing).free / _MIB
    if wanted > free:
        raise ResourceError(
            f"{wanted:,.0f} MiB of models are to be fetched into {cache}, where {free:,.0f} MiB are free; make room, "
            "or set HF_HOME to a folder on another disk."
        )


def _find(name: str, sources: tuple[str, ...], root: Path, hub: Hub) -> Availability:
    try:
        found = find_model(sources, root, hub)
    except NotThere as error:
        raise ModelError(
            f"The model '{name}' cannot be had: {error}; {advice(name, sources, root)}."
        ) from error
    except ModelError as error:
        raise ModelError(f"The model '{name}' cannot be used: {error}") from error
    if found.folder is not None:
        _check_hashes(name, found.folder)
    return found


def _check_hashes(name: str, folder: Path) -> None:
    """The models that ship, and what `pretrain` makes, say in their manifest what each file must be."""
    if not (folder / MANIFEST).is_file():
        return
    try:
        verify_folder(folder)
    except DataError as error:
        raise ModelError(
            f"The model '{name}' is not as it was made: {error} Restore it from the repository, or delete "
            f"{folder / MANIFEST} if the change is yours."
        ) from error


def advice(name: str, sources: tuple[str, ...], root: Path) -> str:
    """What to do for a model that none of its sources has."""
    folders = [(root / Path(source).expanduser()).resolve() for source in sources if is_local(source)]
    ways = []
    if any(folder.is_relative_to((root / "models").resolve()) for folder in folders):
        ways.append(_EMBEDDED)
    elif name in _MADE:
        ways.append(_MADE[name])
    if len(folders) < len(sources):
        ways.append("check the network and the names on the hub")
    return "; ".join([*ways, f"or give another with --params models.{name}=NAME"])


def configurations(available: Availability, hub: Hub) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A folder with the index of a model and its configurations, fetched where they are not here; and the `config.json`
    of each component (of the scheduler its `scheduler_config.json`)."""
    folder = available.folder
    if folder is None:
        assert available.repository is not None, "what is not here is on the hub"
        small = [file for file in available.files if file.rpartition("/")[2] in (*_CONFIGS, INDEX)]
        folder = hub.fetch(available.repository, small)
    configs = {}
    for path in sorted(folder.glob("*/*config.json")):
        if path.name in _CONFIGS:
            configs[path.parent.name] = read_object(path)
    return folder, configs


def _check_serves(name: str, available: Availability, hub: Hub) -> Mapping[str, Any]:
    """The configurations of a model that can serve in its role."""
    folder, configs = configurations(available, hub)
    index = read_object(folder / INDEX)
    check_parts(name, available.source, index)
    check_kind(name, available.source, index, configs)
    if name == "scorer" and NAMES not in available.files:
        raise ModelError(
            f"The model 'scorer' has no {NAMES} in {folder}; restore it from the repository or get it again."
        )
    if name == "scorer" and (folder / NAMES).is_file() and not (folder / NAMES).read_bytes().strip():
        raise ModelError(
            f"The model 'scorer' has an empty {NAMES} in {folder}; restore it from the repository or get it again."
        )
    return configs


def _held_against(
    check: ModelCheck,
    checks: list[ModelCheck],
    configs: Mapping[str, Mapping[str, Any]],
    multiview: MultiviewParameters | None,
) -> ModelCheck:
    """A Latent-Plane that can be had, held against the UNet and the views that it is for."""
    views = "zero123" if multiview is None else multiview.source.kind
    if check.name != "latent_plane" or check.problem is not None or views not in configs:
        return check
    unet = next(other.available for other in checks if other.name == views)
    assert check.available is not None and unet is not None, "both have configurations"
    plane = configs["latent_plane"].get("latent_plane", {})
    try:
        check_plane(check.available.source, plane, unet.source, configs[views].get("unet", {}))
        if multiview is not None:
            _check_views(plane, multiview)
    except PlacidError as error:
        return ModelCheck(check.name, check.available, error)
    return check


def _check_views(plane: Mapping[str, Any], multiview: MultiviewParameters) -> None:
    from placid_kedro.cameras import cameras_from_config, multiview_cameras, ring
    from placid_kedro.latent_plane.made_for import check_views

    given = plane.get("cameras")
    own = multiview_cameras() if given is None else cameras_from_config(given)
    wanted = (multiview.views, multiview.elevation_deg, multiview.distance, multiview.field_of_view_deg)
    check_views(own, ring(*wanted, own.width))
