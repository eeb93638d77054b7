"""Node of the pipeline `evaluate`."""

from pathlib import Path

from placid_kedro.app.run_context import current_run
from placid_kedro.config import EvaluateParameters, RunParameters
from placid_kedro.pipelines.types import DataFrame, Gaussians, ModelSource


def score_objects(
    parameters: EvaluateParameters,
    seed: int,
    scorer: ModelSource,
    run: RunParameters,
    judge_credentials: dict[str, str],
) -> tuple[DataFrame, DataFrame, str]:
    """Score every prompt's object; a missing one counts as the protocol says.

    Returns:
        One row a prompt; every image, caption and answer; the means beside the published rows, and those of the
        objects beside real ones, in Markdown.
    """
    import pandas as pd

    from placid_kedro.evaluation.t3bench.prompt_sets import find_objects, read_prompt_set
    from placid_kedro.evaluation.t3bench.published import beside_published
    from placid_kedro.evaluation.truth import comparison_table
    from placid_kedro.pipelines.loading import start
    from placid_kedro.pipelines.scorers import load_scorers, measure_gaussians, protocol_in_words
    from placid_kedro.pipelines.truth import GEOMETRY, compared, geometry_numbers, real_objects
    from placid_kedro.splats import load_ply

    device = start(run)
    prompts = read_prompt_set(parameters.prompts, Path(parameters.cache))
    objects = find_objects(prompts, Path(parameters.objects).expanduser())
    scorers = load_scorers(parameters.scores, scorer, judge_credentials, device)
    real = real_objects(parameters.truth)
    used = {f"scorer_{part}": name for part, name in scorers.names().items()}
    rows, evidence = [], []
    for index, one in enumerate(objects):
        gaussians = None if one.path is None else load_ply(one.path, axes=parameters.axes).to(device)
        measured = measure_gaussians(
            gaussians, one.prompt, scorers, parameters.scores, seed, parameters.half_edge
        )
        truth, geometry = compared(_in_unit_cube(gaussians, parameters.half_edge), one.prompt, real)
        numbers = geometry_numbers(geometry)
        common = {"prompt": one.prompt, "file": "" if one.path is None else str(one.path)}
        about = {"missing": measured.missing, "caption": measured.caption, "truth": truth, **used}
        rows.append({**common, **measured.scores, **numbers, **about})
        evidence.append(measured.table().assign(**common))
        current_run().progress.log_metrics(index, {**measured.scores, **numbers})
    scores = pd.DataFrame(rows).assign(
        protocol=protocol_in_words(parameters.scores), prompts_sha256=prompts.sha256
    )
    means = scores.select_dtypes("float").mean().to_dict()
    geometric = {name: value for name, value in means.items() if name.startswith(GEOMETRY)}
    t3bench = {name: value for name, value in means.items() if name not in geometric}
    who = "".join(f"{part}: {name}\n" for part, name in scorers.names().items())
    table = beside_published(t3bench, parameters.name, len(objects))
    told = comparison_table(geometric, list(scores["truth"]))
    return scores, pd.concat(evidence, ignore_index=True), f"{who}\n{table}\n{told}"


def _in_unit_cube(gaussians: Gaussians | None, half_edge: float) -> Gaussians | None:
    """Gaussians of a cube with this half edge in this project's cube, whose half edge is 0.5."""
    from placid_kedro.cameras.rays import CUBE_HALF_EXTENT

    return None if gaussians is None else gaussians.scaled(CUBE_HALF_EXTENT / half_edge)
