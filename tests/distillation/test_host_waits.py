"""How often a step reads what was computed: on a GPU each look makes the host wait for it."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image
from placid_kedro.distillation import DistillationConfig, splats
from placid_kedro.distillation.splats import distill
from placid_kedro.splats import Gaussians
from tests.distillation.splats_case import PROMPTS, settings

aten = torch.ops.aten
# What ends in a number, or in a tensor whose size depends on numbers.
READS = (
    aten._local_scalar_dense,
    aten.is_nonzero,
    aten.equal,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
)


class WatchesReads(TorchDispatchMode):
    """Follows the tensors that a GPU would hold, from `on_device` on, and notes where the host reads one."""

    def __init__(self, on_device: list[torch.Tensor]) -> None:
        super().__init__()
        self.on_device = WeakTensorKeyDictionary()
        self.reads: list[str] = []
        self.hold(on_device)

    def hold(self, tensors: list[torch.Tensor]) -> None:
        for tensor in tensors:
            self.on_device[tensor] = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        is_held = any(value in self.on_device for value in given)
        by_mask = func.overloadpacket is aten.index and any(value.dtype == torch.bool for value in given[1:])
        if is_held and (func.overloadpacket in READS or by_mask):
            self.note(str(func))
        result = func(*args, **(kwargs or {}))
        if is_held:
            self.hold([value for value in tree_leaves(result) if isinstance(value, torch.Tensor)])
        return result

    def note(self, what: str) -> None:
        ours = [frame for frame in traceback.extract_stack() if "placid_kedro" in frame.filename]
        if any("splats/cpu" in frame.filename for frame in ours):
            return  # on a GPU gsplat draws
        self.reads.append(f"{what} in {ours[-1].filename}:{ours[-1].lineno}" if ours else what)


@contextmanager
def watched(model: TextToImage, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchesReads]:
    """Networks, Gaussians, pictures and what comes of them are on the device; what generators draw is not."""
    networks = [model.unet, model.autoencoder]
    watching = WatchesReads([p for network in networks for p in network.parameters()])
    draw, parameters_of, to_list = splats.render, Gaussians.to_parameters, torch.Tensor.tolist

    def render(*given: Any) -> Any:
        views = draw(*given)
        watching.hold([views.rgb, views.alpha, views.depth, views.meta["means2d"], views.meta["radii"]])
        return views

    def to_parameters(self: Gaussians) -> Any:
        parameters = parameters_of(self)
        watching.hold(list(parameters.values()))
        return parameters

    def tolist(self: torch.Tensor) -> Any:
        if self in watching.on_device:
            watching.note("tolist")
        return to_list(self)

    monkeypatch.setattr(splats, "render", render)
    monkeypatch.setattr(Gaussians, "to_parameters", to_parameters)
    monkeypatch.setattr(torch.Tensor, "tolist", tolist)
    with watching:
        yield watching


@pytest.mark.parametrize("view_prompts", ["front_side_back_overhead", "perp_neg"])
@pytest.mark.parametrize("algorithm", ["bsd", "sds", "vsd"])
def test_a_step_reads_once_at_its_end_and_asks_the_unet_once(
    ball: Gaussians,
    tiny_models: Any,
    algorithm: str,
    view_prompts: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two branches (with Perp-Neg four) of two cameras in one call; VSD's LoRA copy is a network of its own."""
    model = load_text_to_image(tiny_models.text_to_image, torch.device("cpu"))
    batches: list[int] = []
    handle = model.unet.register_forward_hook(lambda module, args, output: batches.append(len(args[0])))
    steps = 3
    with handle, watched(model, monkeypatch) as watching:
        distill(
            ball,
            model,
            PROMPTS,
            DistillationConfig.model_validate({"algorithm": algorithm}),
            settings(
                steps=steps,
                image_size=64,
                latents="sample",
                view_prompts=view_prompts,
                depth_share=0.5,
                flip_probability=0.5,
                backgrounds=("white", "random"),
                densification={"start": 1000, "stop": 1000},
            ),
            generator=torch.Generator().manual_seed(0),
        )
    assert [read.split(" in ")[0] for read in watching.reads] == ["tolist"] * steps, watching.reads
    if algorithm != "vsd":
        assert batches == [8 if view_prompts == "perp_neg" else 4] * steps


def test_the_watch_sees_what_it_watches_for() -> None:
    """Reads of what was computed from a held tensor are noted, those of other tensors are not."""
    held = torch.arange(4.0)
    with WatchesReads([held]) as watching:
        free = torch.arange(4.0)
        float(free.sum()), free[free > 1], bool((held > 1).all())
        (held + 1)[held > 1], torch.where(held > 1)
    noted = [read.split(" in ")[0] for read in watching.reads]
    assert noted == ["aten._local_scalar_dense.default", "aten.index.Tensor", "aten.nonzero.default"]
