"""`kedro preflight`: what a run needs before it can start, without starting it."""

import sys
from pathlib import Path
from typing import Any

import click
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.utils import find_kedro_project

from placid_kedro.app.failures import sentence_for
from placid_kedro.app.hooks import SPLATTING
from placid_kedro.app.model_check import ModelCheck, check_room, look_at_models
from placid_kedro.app.preflight import check_device, check_kernels, check_memory, check_splatting
from placid_kedro.app.run_command import PARAMS_HELP, params_callback
from placid_kedro.app.run_record import needed_models, parameter_groups
from placid_kedro.config.check import check_parameters
from placid_kedro.errors import PlacidError
from placid_kedro.models import Hub

_MIB = 2**20


@click.command()
@click.option("--env", "-e", default=None, help="Environment, such as paper.")
@click.option("--pipeline", "-p", default="__default__", help="The pipeline that is to be run.")
@click.option("--params", default="", help=PARAMS_HELP, callback=params_callback)
def preflight(env: str | None, pipeline: str, params: dict[str, Any]) -> None:
    """Say of every model of a run where it comes from, what is to be fetched and what is missing; run nothing."""
    try:
        lines, ready = report(find_kedro_project(Path.cwd()) or Path.cwd(), env, pipeline, params)
    except Exception as error:
        sentence = sentence_for(error)
        if sentence is None:
            raise
        raise click.ClickException(sentence) from error
    click.echo("\n".join(lines))
    sys.exit(0 if ready else 1)


def report(
    project_path: Path, env: str | None, pipeline: str, params: dict[str, Any]
) -> tuple[list[str], bool]:
    """A line for each model, the disk and the device, and whether the run can start.

    Raises:
        PlacidError: the parameters are wrong, or there is no such pipeline.
    """
    if pipeline not in pipelines:
        raise PlacidError(f"There is no pipeline {pipeline!r}; `kedro registry list` names them.")
    session: Any
    with KedroSession.create(project_path, env=env, runtime_params=params) as session:
        parameters = check_parameters(session.load_context().config_loader["parameters"])
    hub = Hub()
    device, groups = parameters.run.device, parameter_groups(pipelines[pipeline])
    multiview = parameters.multiview if "multiview" in groups else None
    checks = look_at_models(
        parameters.models, project_path, needed_models(pipelines[pipeline], parameters), hub, multiview
    )
    lines = [_line(check) for check in checks]
    problems = [check.problem for check in checks if check.problem is not None]
    found = [check.available for check in checks if check.available is not None]
    tests = [lambda: check_room(found, hub)]
    if "run" in groups:
        tests.append(lambda: check_device(device))
    if groups & SPLATTING:
        tests += [check_kernels, lambda: check_splatting(device)]
    if not problems and "models" in groups:
        tests.append(lambda: check_memory(parameters, groups, project_path))
    for test in tests:
        try:
            test()
        except PlacidError as error:
            lines.append(str(error))
            problems.append(error)
    lines.append("This run cannot start." if problems else "This run can start.")
    return lines, not problems


def _line(check: ModelCheck) -> str:
    if check.problem is not None:
        return f"{check.name}: {check.problem}"
    assert check.available is not None, "a model without a problem can be had"
    wanted = sum(check.available.to_fetch.values()) / _MIB
    state = f"{wanted:,.0f} MiB are to be fetched" if wanted else f"is at {check.available.folder}"
    passed_over = "".join(f"\n  not taken: {reason}" for reason in check.available.passed_over)
    return f"{check.name}: {check.available.pinned}, {state}{passed_over}"
