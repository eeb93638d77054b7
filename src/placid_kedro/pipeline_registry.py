"""The pipelines of the project, written out one by one: Kedro's automatic discovery loads a single folder
when one pipeline is asked for, and pipelines made of several stages would come out empty."""

from kedro.pipeline import Pipeline

from placid_kedro.pipelines import bsd_3dgs, init, lora, multiview, prompt, reference, t3bench_eval


def register_pipelines() -> dict[str, Pipeline]:
    """Name every pipeline that `kedro run --pipeline NAME` knows.

    Returns:
        `generate`: a prompt becomes a 3D object; it is also what `kedro run` alone does.
    """
    stages = [prompt, reference, multiview, init, lora, bsd_3dgs, t3bench_eval]
    generate = sum((stage.create_pipeline() for stage in stages), Pipeline([]))
    return {"generate": generate, "__default__": generate}
