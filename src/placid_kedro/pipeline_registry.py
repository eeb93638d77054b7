"""The pipelines of the project, written out one by one: Kedro's automatic discovery loads a single folder
when one pipeline is asked for, and pipelines made of several stages would come out empty."""

from kedro.pipeline import Pipeline

from placid_kedro.pipelines import (
    ablation,
    bsd_3dgs,
    distill_2d,
    evaluate,
    export,
    filter,
    import_models,
    import_splats,
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
    viewer,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Name every pipeline that `kedro run --pipeline NAME` knows.

    Returns:
        `generate`: a prompt becomes a 3D object; its stages also by their own names. It is what `kedro run` alone does.
        `prepare`: object libraries become a training set and a Latent-Plane; its stages also by their own names.
        `ablation`: many objects, made by `generate` in several variants, and compared.
        `distill_2d`: the distillation algorithms side by side, without 3D.
        `evaluate`: T3Bench's scores of a folder of Gaussians, whoever made them.
        `import_models`: published weights become model folders; each kind also by its own name.
        `export`: a finished object as a textured mesh, compact splat files and pictures.
        `import_splats`: splats of another program as a finished object.
        `pretrain`: the embedded models from scratch.
    """
    generation = {
        "prompt": prompt.create_pipeline(),
        "reference": reference.create_pipeline(),
        "multiview": multiview.create_pipeline(),
        "init": init.create_pipeline(),
        "lora": lora.create_pipeline(),
        "bsd_3dgs": bsd_3dgs.create_pipeline(),
        "t3bench_eval": t3bench_eval.create_pipeline(),
        "viewer": viewer.create_pipeline(),
    }
    preparation = {
        "objaverse_ingest": objaverse_ingest.create_pipeline(),
        "syncdreamer_render": syncdreamer_render.create_pipeline(),
        "filter": filter.create_pipeline(),
        "latent_plane_train": latent_plane_train.create_pipeline(),
    }
    imports = {
        "import_zero123": import_models.create_zero123_pipeline(),
        "import_latent_plane": import_models.create_latent_plane_pipeline(),
    }
    generate = sum(generation.values(), Pipeline([]))
    return {
        "generate": generate,
        "prepare": sum(preparation.values(), Pipeline([])),
        "import_models": sum(imports.values(), Pipeline([])),
        "pretrain": pretrain.create_pipeline(),
        "ablation": ablation.create_pipeline(generate),
        "distill_2d": distill_2d.create_pipeline(),
        "evaluate": evaluate.create_pipeline(),
        "export": export.create_pipeline(),
        "import_splats": import_splats.create_pipeline(),
        **generation,
        **preparation,
        **imports,
        "__default__": generate,
    }
