"""What is checked before any long work begins: prompt, models, device, disk, and where outputs go."""

import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from placid_kedro.config import InitParameters, ModelsParameters, Parameters
from placid_kedro.errors import DataError, ModelError, ParameterError, ResourceError
from placid_kedro.evaluation.t3bench.config import EndpointJudge, ScoresParameters
from placid_kedro.prompts import check_text
from placid_kedro.surface.config import FileSource

_MIB = 2**20
_INDEX = "model_index.json"
_NAMES = "names.txt"


@runtime_checkable
class Target(Protocol):
    """A dataset that can say whether its path may be written."""

    def check_target(self) -> None:
        """Raise `DataError` when it may not."""


def check_prompt(parameters: Parameters) -> None:
    """Refuse a prompt that no text encoder reads.

    Raises:
        PromptError: see `placid_kedro.prompts.check_text`.
    """
    rules = parameters.prompt_processor
    check_text(parameters.prompt, rules.max_characters, rules.scripts)


def is_local(source: str) -> bool:
    """Whether a model's name is a folder; names that begin otherwise are hub ids."""
    return source.startswith((".", "/", "~"))


def check_models(
    models: ModelsParameters, project_path: Path, needed_models: Collection[str] | None = None
) -> None:
    """Refuse a local model folder that is missing, incomplete or damaged, as far as it shows without loading.

    Args:
        models: where each model comes from.
        project_path: folder that relative ones are in.
        needed_models: names of those that the run takes; all by default.

    Raises:
        ModelError: naming the folder and what is missing in it.
    """
    for name, source in models.model_dump().items():
        if not is_local(source) or (needed_models is not None and name not in needed_models):
            continue
        folder = project_path / Path(source).expanduser()
        if not folder.is_dir():
            raise ModelError(
                f"The model '{name}' is not at {folder}; get the complete repository, make it with "
                f"`kedro run --pipeline pretrain`, or give another with --params models.{name}=..."
            )
        # In the diffusers layout each network is a folder with a config.json and its weights.
        for network in sorted(path.parent for path in folder.rglob("config.json")):
            weights = list(network.glob("*.safetensors"))
            if not weights:
                raise ModelError(
                    f"The model '{name}' has no weights in {network} (a .safetensors file); "
                    "restore them from the repository."
                )
            for path in weights:
                _check_weights(name, path)
        needed = [_INDEX, _NAMES] if name == "scorer" else [_INDEX]
        for file in needed:
            if not (folder / file).is_file():
                raise ModelError(
                    f"The model '{name}' has no {file} in {folder}; restore it from the repository."
                )


def _check_weights(model: str, path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        # Reads the header, which tells how long the file must be.
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"The weights {path} of the model '{model}' are damaged ({error}); restore them from the repository."
        ) from error


def check_init(init: InitParameters) -> None:
    """Refuse a point cloud that is not there.

    Raises:
        DataError: naming the file.
    """
    if isinstance(init.source, FileSource) and not Path(init.source.path).is_file():
        raise DataError(
            f"There is no point cloud {init.source.path}; give a file in init.source.path or another source."
        )


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
            f"{existing} cannot be written; choose another data_root in conf/base/globals.yml."
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
