"""How often a step reads what was computed: on a GPU each look makes the host wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image
from placid_kedro.distillation import DistillationConfig, splats
from placid_kedro.distillation.splats import distill
from placid_kedro.splats import Gaussians
from tests.distillation.splats_case import PROMPTS, settings
from tests.host_reads import WatchesReads


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


# VSD's LoRA copies are networks of their own, and ISM asks once more for each step of its inversion.
ASK_OFTEN = ("vsd", "vsd_mgda", "ism")


@pytest.mark.parametrize(
    ("algorithm", "view_prompts"),
    [
        *((name, "front_side_back_overhead") for name in ("bsd", "sds", "csd", "ssd", "nfsd", *ASK_OFTEN)),
        *((name, "perp_neg") for name in ("bsd", "sds", "vsd")),
    ],
)
def test_a_step_reads_once_at_its_end_and_asks_the_unet_once(
    ball: Gaussians,
    tiny_models: Any,
    algorithm: str,
    view_prompts: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All branches of two cameras in one call: two, with Perp-Neg four; NFSD's third is the negative prompt."""
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
    if algorithm not in ASK_OFTEN:
        branches = 4 if view_prompts == "perp_neg" else 3 if algorithm == "nfsd" else 2
        assert batches == [2 * branches] * steps


def test_the_watch_sees_what_it_watches_for() -> None:
    """Reads of what was computed from a held tensor are noted, those of other tensors are not."""
    held = torch.arange(4.0)
    with WatchesReads([held]) as watching:
        free = torch.arange(4.0)
        float(free.sum()), free[free > 1], bool((held > 1).all())
        (held + 1)[held > 1], torch.where(held > 1)
    noted = [read.split(" in ")[0] for read in watching.reads]
    assert noted == ["aten._local_scalar_dense.default", "aten.index.Tensor", "aten.nonzero.default"]
