"""Node of the pipeline `evaluate`."""

from pathlib import Path

from placid_kedro.app.run_context import current_run
from placid_kedro.config import EvaluateParameters, RunParameters
from placid_kedro.pipelines.types import DataFrame, ModelSource


def score_objects(
    parameters: EvaluateParameters,
    seed: int,
    scorer: ModelSource,
    run: RunParameters,
    judge_credentials: dict[str, str],
) -> tuple[DataFrame, DataFrame, str]:
    """Score every prompt's object; a missing one counts as the protocol says.

    Returns:
        One row a prompt; every image, caption and answer; the means beside the published rows in Markdown.
    """
    import pandas as pd

    from placid_kedro.evaluation.t3bench.prompt_sets import find_objects, read_prompt_set
    from placid_kedro.evaluation.t3bench.published import beside_published
    from placid_kedro.pipelines.loading import start
    from placid_kedro.pipelines.scorers import load_scorers, measure_gaussians, protocol_in_words
    from placid_kedro.splats import load_ply

    device = start(run)
    prompts = read_prompt_set(parameters.prompts, Path(parameters.cache))
    objects = find_objects(prompts, Path(parameters.objects).expanduser())
    scorers = load_scorers(parameters.scores, scorer, judge_credentials, device)
    used = {f"scorer_{part}": name for part, name in scorers.names().items()}
    rows, evidence = [], []
    for index, one in enumerate(objects):
        gaussians = None if one.path is None else load_ply(one.path, axes=parameters.axes).to(device)
        measured = measure_gaussians(
            gaussians, one.prompt, scorers, parameters.scores, seed, parameters.half_edge
        )
        file = "" if one.path is None else str(one.path)
        common = {"prompt": one.prompt, "file": file}
        rows.append(
            {**common, "missing": measured.missing, **measured.scores, "caption": measured.caption, **used}
        )
        evidence.append(measured.table().assign(**common))
        current_run().progress.log_metrics(index, measured.scores)
    scores = pd.DataFrame(rows).assign(
        protocol=protocol_in_words(parameters.scores), prompts_sha256=prompts.sha256
    )
    means = {name: float(scores[name].mean()) for name in scores.select_dtypes("float")}
    who = "".join(f"{part}: {name}\n" for part, name in scorers.names().items())
    table = beside_published(means, parameters.name, len(objects))
    return scores, pd.concat(evidence, ignore_index=True), f"{who}\n{table}"
