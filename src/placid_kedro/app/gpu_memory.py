"""Whether a GPU has the memory that a run takes, before the run: else it fails after minutes, in the middle of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from placid_kedro.config import Parameters
from placid_kedro.errors import ResourceError

if TYPE_CHECKING:
    from placid_kedro.diffusion.memory import Configs

# What docs/gpu.md gives for GPUs of this many GB, largest first: parameters beside those of `--env paper`.
PRESETS: dict[int, Mapping[str, Any]] = {
    80: {"run.precision": "float32"},
    24: {"run.precision": "bf16"},
    12: {"run.precision": "bf16", "bsd_3dgs.encoded_at_once": 1},
}


def needed_gib(parameters: Parameters, configs: Configs, groups: Collection[str]) -> tuple[str, float]:
    """The stage of a run that takes the most memory of a GPU, and how many GiB.

    Args:
        parameters: of the run.
        configs: of the text-to-image model's components.
        groups: of the parameters that the run takes: `lora`, `bsd_3dgs` or both.
    """
    from placid_kedro.diffusion.memory import distillation_gib, lora_gib

    precision, bsd, lora = parameters.run.precision, parameters.bsd_3dgs, parameters.lora
    stages = {}
    if "lora" in groups:
        stages["lora"] = lora_gib(configs, precision, lora.rank, lora.batch_size)
    if "bsd_3dgs" in groups:
        at_once = min(bsd.encoded_at_once or bsd.cameras_per_step, bsd.cameras_per_step)
        stages["bsd_3dgs"] = distillation_gib(configs, precision, bsd.image_size, at_once)
    stage = max(stages, key=lambda name: stages[name])
    return stage, stages[stage]


def check_gpu_memory(
    parameters: Parameters, configs: Configs, groups: Collection[str], has_gib: float
) -> None:
    """Refuse a run that takes more memory than a GPU has.

    Args: as of `needed_gib`, and `has_gib` of the GPU.

    Raises:
        ResourceError: saying how much is needed, and which preset would fit.
    """
    stage, wants = needed_gib(parameters, configs, groups)
    if wants <= has_gib:
        return
    said = f"The stage {stage} takes about {wants:.1f} GiB of the GPU's memory, and it has {has_gib:.1f}"
    for size, changes in PRESETS.items():
        changed = with_changes(parameters, changes)
        _, least = needed_gib(changed, configs, groups)
        if least <= has_gib:
            shown = ",".join(f"{name}={value}" for name, value in changes.items())
            raise ResourceError(
                f"{said}; the preset for {size} GB takes about {least:.1f}: --params {shown}."
            )
    raise ResourceError(
        f"{said}; even the preset for {size} GB takes about {least:.1f}: lower bsd_3dgs.image_size, or take --params "
        "run.device=cpu."
    )


def with_changes(parameters: Parameters, changes: Mapping[str, Any]) -> Parameters:
    """Other parameters, by their dotted names of one group and one parameter."""
    for name, value in changes.items():
        group, _, key = name.partition(".")
        changed = getattr(parameters, group).model_copy(update={key: value})
        parameters = parameters.model_copy(update={group: changed})
    return parameters
