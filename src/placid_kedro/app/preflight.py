"""What is checked before any long work begins: prompt, models, device, disk, and where outputs go."""

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from placid_kedro.config import ImportParameters, InitParameters, Parameters, ReferenceParameters
from placid_kedro.diffusion.config import MVDREAM_VIEWS
from placid_kedro.errors import DataError, ModelError, ParameterError, ResourceError
from placid_kedro.evaluation.config import FolderTruth, TruthSource
from placid_kedro.evaluation.t3bench.config import EndpointJudge, ScoresParameters
from placid_kedro.latent_plane.config import MultiviewParameters, MvdreamViews
from placid_kedro.prompts import check_text
from placid_kedro.surface.config import DensitySource, FileSource
from placid_kedro.surface.reference_config import NetworkBackground

_MIB = 2**20


@runtime_checkable
class Target(Protocol):
    """A dataset that can say whether its path may be written."""

    def check_target(self) -> None:
        """Raise `DataError` when it may not."""


def check_runner(runner: str) -> None:
    """Refuse Kedro's runners that do several nodes at a time.

    Raises:
        ParameterError: naming the runner.
    """
    for name in ("ParallelRunner", "ThreadRunner"):
        if name in runner:
            raise ParameterError(
                f"The {name} does several stages at a time, and would lose their metrics and times; leave --runner "
                "out: one stage takes all cores."
            )


def check_versions(names: Iterable[str], catalog: Mapping[str, Any]) -> None:
    """Refuse `--load-versions` of a dataset whose catalog entry keeps none: Kedro would read what is there.

    Raises:
        ParameterError: naming the dataset.
    """
    for name in names:
        if not (catalog.get(name) or {}).get("versioned"):
            raise ParameterError(
                f"The dataset {name!r} keeps no versions; leave --load-versions out, or say versioned: true in its "
                "catalog entry."
            )


def check_prompt(parameters: Parameters) -> None:
    """Refuse a prompt that no text encoder reads.

    Raises:
        PromptError: see `placid_kedro.prompts.check_text`.
    """
    rules = parameters.prompt_processor
    check_text(parameters.prompt, rules.max_characters, rules.scripts)


def check_init(init: InitParameters, plane_preset: str) -> None:
    """Refuse a point cloud that is not there or cannot be used, and a density field's surface where no plane makes one.

    Raises:
        DataError: naming the file.
        ParameterError: the points come from the density field, and the views are made without Latent-Plane.
    """
    if isinstance(init.source, DensitySource) and plane_preset == "none":
        raise ParameterError(
            "Without Latent-Plane (multiview.plane_preset=none) there is no density field to take points from; give "
            "init.source another kind: sphere, random, file or shap_e."
        )
    if not isinstance(init.source, FileSource):
        return
    path = Path(init.source.path)
    if not path.is_file():
        raise DataError(
            f"There is no point cloud {init.source.path}; give a file in init.source.path or another source."
        )
    from placid_kedro.surface.point_clouds import fit_to_cube, from_point_cloud_file

    # Reading it takes a moment; the stages before it take minutes.
    fit_to_cube(from_point_cloud_file(path), init.source.longest_edge)


def check_multiview(multiview: MultiviewParameters) -> None:
    """Refuse another number of views than the model that draws them was made for.

    Raises:
        ParameterError: naming both numbers.
    """
    if isinstance(multiview.source, MvdreamViews) and multiview.views != MVDREAM_VIEWS:
        raise ParameterError(
            f"MVDream draws {MVDREAM_VIEWS} views of an object together, and multiview.views is {multiview.views}; "
            f"take --params multiview.views={MVDREAM_VIEWS}, and a Latent-Plane that was made for as many."
        )


def check_reference(reference: ReferenceParameters, project_path: Path) -> None:
    """Refuse a picture that cannot be read, and a network for its background that is not there.

    Raises:
        DataError: see `placid_kedro.surface.pictures.read_picture`.
        ModelError, ResourceError: see `placid_kedro.surface.matting.check_network`.
    """
    if reference.image:
        from placid_kedro.surface.pictures import read_picture

        read_picture(Path(reference.image).expanduser())
    if isinstance(reference.background, NetworkBackground):
        from placid_kedro.surface.matting import check_network

        check_network(reference.background, project_path)


def check_scores(scores: ScoresParameters, credentials: dict[str, str]) -> None:
    """Refuse a judge without captions, and an endpoint that is down or refuses its key.

    Raises:
        ParameterError: only one of captions and judge is there.
        EndpointError: see `placid_kedro.evaluation.scorers.chat.ChatEndpoint.check`.
    """
    if (scores.captions.kind == "none") != (scores.judge.kind == "none"):
        raise ParameterError(
            f"scores.captions is of kind '{scores.captions.kind}' and scores.judge of kind '{scores.judge.kind}'; "
            "alignment needs both: choose both, or 'none' for both."
        )
    if isinstance(scores.judge, EndpointJudge):
        from placid_kedro.evaluation.scorers.chat import endpoint_of

        endpoint_of(scores.judge, credentials).check()


def check_truth(truth: TruthSource) -> None:
    """Refuse a folder of real objects that is not there or holds no mesh.

    Raises:
        DataError: naming the folder.
    """
    if isinstance(truth, FolderTruth):
        from placid_kedro.evaluation.truth import FolderObjects

        FolderObjects(truth.folder, truth.captions)


def check_imports(imports: ImportParameters, inputs: Collection[str]) -> None:
    """Refuse to import from a file that is not named or not there.

    Args:
        imports: the files.
        inputs: names of what the pipeline takes, of the parameters as its nodes have them.

    Raises:
        ParameterError: no file is named.
        ModelError: there is no such file.
    """
    plane = imports.latent_plane
    named = {
        "zero123": {"zero123": imports.zero123},
        "latent_plane": {"latent_plane.coarse": plane.coarse, "latent_plane.fine": plane.fine},
    }
    for model, files in named.items():
        if f"params:import_models.{model}" not in inputs:
            continue
        for name, path in files.items():
            if not path:
                raise ParameterError(
                    f"import_models.{name} names no file; give the published weights with --params "
                    f"import_models.{name}=PATH, or run import_zero123 or import_latent_plane alone."
                )
            if not Path(path).expanduser().is_file():
                raise ModelError(
                    f"There is no file {path}; give another with --params import_models.{name}=PATH."
                )


def check_plane_training(parameters: Parameters, renders: bool) -> None:
    """Refuse settings under which `latent_plane_train` would fail, perhaps after hours of rendering.

    Args:
        parameters: of the run.
        renders: whether the run also makes the views.

    Raises:
        ParameterError: the first ring of the views does not hold the plane's, or the precision does not fit the device.
    """
    training, ring = parameters.latent_plane_train, parameters.syncdreamer_render.protocol.rings[0]
    low, high = ring.elevation_deg
    if renders and (ring.views % training.views or low != high):
        raise ParameterError(
            f"latent_plane_train.views is {training.views}, but the first ring of syncdreamer_render.protocol has "
            f"{ring.views} views at elevations [{low}, {high}]; "
            f"give it {training.views} or a multiple, at one elevation."
        )
    if training.precision in ("fp16", "bf16"):
        from placid_kedro.device import resolve_device
        from placid_kedro.training.loop import resolve_precision

        resolve_precision(training.precision, on_cpu=resolve_device(parameters.run.device).type == "cpu")


def check_device(device: str) -> None:
    """Refuse a CUDA device where there is none.

    Raises:
        ResourceError: naming the device that was asked for.
    """
    if not device.startswith("cuda"):
        return
    import torch

    if not torch.cuda.is_available():
        raise ResourceError(
            f"The device '{device}' was asked for, but no GPU can be used; take --params run.device=cpu."
        )
    index = torch.device(device).index or 0
    if index >= torch.cuda.device_count():
        raise ResourceError(
            f"The device '{device}' was asked for, but there are only {torch.cuda.device_count()} GPUs, "
            "from cuda:0 on."
        )


def check_splatting(device: str) -> None:
    """Refuse to render splats on a GPU that gsplat cannot be compiled for.

    Raises:
        ResourceError: naming what is missing.
    """
    import torch

    from placid_kedro.device import resolve_device

    if torch.cuda.is_available() and resolve_device(device).type == "cuda":
        from placid_kedro.app.gpu_check import check_gsplat, find_toolchain

        check_gsplat(find_toolchain())


def check_memory(parameters: Parameters, groups: Collection[str], project_path: Path) -> None:
    """Refuse a run on a GPU that has less memory than the text-to-image model takes there.

    Args:
        parameters: of the run.
        groups: of the parameters that its nodes take.
        project_path: folder that relative paths in the parameters are in.

    Raises:
        ResourceError: see `placid_kedro.app.gpu_memory.check_gpu_memory`.
        ModelError: the model cannot be had.
    """
    stages = {"lora", "bsd_3dgs"} & set(groups)
    if not stages or parameters.run.device == "cpu":
        return
    import torch

    from placid_kedro.device import resolve_device

    device = resolve_device(parameters.run.device)
    if device.type != "cuda":
        return
    from placid_kedro.app.gpu_memory import check_gpu_memory
    from placid_kedro.app.model_check import configurations
    from placid_kedro.diffusion.memory import can_be_counted
    from placid_kedro.models import Hub, find_model

    hub = Hub()
    _, configs = configurations(find_model(parameters.models.text_to_image, project_path, hub), hub)
    if can_be_counted(configs):
        has = torch.cuda.get_device_properties(device).total_memory / 2**30
        check_gpu_memory(parameters, configs, stages, has)


def check_kernels() -> None:
    """Refuse to begin where the compiled kernels cannot be kept.

    Raises:
        ResourceError: neither the code's folder nor the user's cache can be written.
    """
    try:
        from placid_kedro.splats.cpu import projection  # noqa: F401  (importing it looks for the place)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        raise ResourceError(
            "There is no place for the compiled kernels: neither the code's folder nor the home folder's cache can be "
            "written; set NUMBA_CACHE_DIR to a folder that can."
        ) from error


def check_disk(folder: Path, free_mb: float) -> None:
    """Refuse a data root that cannot be written or has too little free space.

    Args:
        folder: the data root; it need not exist yet.
        free_mb: MiB that must be free.

    Raises:
        ResourceError: naming the folder and the space.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ResourceError(
            f"{existing} cannot be written; choose another data_root in conf/base/globals.yml, or run in a folder of "
            "your own that holds a copy of conf/."
        )
    free = shutil.disk_usage(existing).free / _MIB
    if free < free_mb:
        raise ResourceError(
            f"Only {free:.0f} MiB are free under {existing}, a run needs {free_mb:.0f}; "
            "make room and run again."
        )


def check_targets(targets: Iterable[Target]) -> None:
    """Refuse output paths that are half-written or somebody else's.

    Raises:
        DataError: naming the path.
    """
    for target in targets:
        target.check_target()
