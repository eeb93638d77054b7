"""The pipelines of the project, written out one by one: Kedro's automatic discovery loads a single folder
when one pipeline is asked for, and pipelines made of several stages would come out empty."""

from kedro.pipeline import Pipeline

from placid_kedro.pipelines import (
    bsd_3dgs,
    distill_2d,
    filter,
    init,
    latent_plane_train,
    lora,
    multiview,
    objaverse_ingest,
    pretrain,
    prompt,
    reference,
    syncdreamer_render,
    t3bench_eval,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Name every pipeline that `kedro run --pipeline NAME` knows.

    Returns:
        `generate`: a prompt becomes a 3D object; it is also what `kedro run` alone does.
        `prepare`: object libraries become a training set and a Latent-Plane; its stages also by their own names.
        `distill_2d`: the distillation algorithms side by side, without 3D.
        `pretrain`: the embedded models from scratch.
    """
    stages = [prompt, reference, multiview, init, lora, bsd_3dgs, t3bench_eval]
    generate = sum((stage.create_pipeline() for stage in stages), Pipeline([]))
    preparation = {
        "objaverse_ingest": objaverse_ingest.create_pipeline(),
        "syncdreamer_render": syncdreamer_render.create_pipeline(),
        "filter": filter.create_pipeline(),
        "latent_plane_train": latent_plane_train.create_pipeline(),
    }
    prepare = sum(preparation.values(), Pipeline([]))
    return {
        "generate": generate,
        "prepare": prepare,
        "pretrain": pretrain.create_pipeline(),
        "distill_2d": distill_2d.create_pipeline(),
        **preparation,
        "__default__": generate,
    }
