"""`kedro run` with four differences: `--params` takes free text, `--only-missing-outputs` also makes anew
what is out of date, nodes go by their own name or their stage's, and an error that the project foresees is one sentence
instead of a traceback."""

import copy
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import KedroCliError
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from placid_kedro.app.command_line import check_names, check_pipelines
from placid_kedro.app.failures import sentence_for
from placid_kedro.app.interrupts import GO_ON, exit_code, signals_as_interrupts
from placid_kedro.app.node_names import full_names
from placid_kedro.app.runtime_params import parse_params
from placid_kedro.errors import PlacidError
from placid_kedro.foreign import one_line
from placid_kedro.shipped import shipped

UPDATING_RUNNER = "placid_kedro.app.runners.StampedRunner"
ERROR_LOG = Path("logs/last_error.log")

PARAMS_HELP = """Parameters that go before those of the configuration, as NAME=VALUE separated by commas:
prompt="a red, wooden chair",seed=3,distillation.algorithm=sds. A comma that no NAME= follows belongs to the
value."""
ONLY_MISSING_HELP = (
    """Run only the nodes whose outputs are missing or were made from other inputs, parameters or code."""
)


def params_callback(context: click.Context, option: click.Parameter, value: Any) -> dict[str, Any]:
    """What `--params` holds, for click."""
    if isinstance(value, dict):  # from a file given with --config
        return value
    try:
        return parse_params(value)
    except PlacidError as error:
        raise click.ClickException(str(error)) from error


def _execute(verbose: bool, **options: Any) -> Any:
    # Relative paths in the configuration mean the project's folder.
    project_path, options["conf_source"] = _project(options["conf_source"])
    os.chdir(project_path)
    if options["pipeline"] is not None and not options["pipelines"]:
        # Kedro warns about the older spelling; both are fine here.
        options["pipelines"], options["pipeline"] = [options["pipeline"]], None
    run_pipeline: Any = kedro_run.callback
    if options["only_missing_outputs"] and not options["runner"]:
        options["runner"] = UPDATING_RUNNER
    try:
        _name_nodes(options)
        with signals_as_interrupts():
            return run_pipeline(**options)
    except KeyboardInterrupt as interrupt:
        click.echo(f"Error: The run was interrupted ({str(interrupt) or 'SIGINT'}); {GO_ON}", err=True)
        raise SystemExit(exit_code(interrupt)) from interrupt
    except click.ClickException:
        raise
    except Exception as error:
        sentence = sentence_for(error)
        if verbose or sentence is None:
            raise
        details = "" if isinstance(error, PlacidError) else _keep_traceback()
        raise click.ClickException(sentence + details) from error


def _project(conf_source: str | None) -> tuple[Path, str | None]:
    """Folder and configuration of a run: of the project that the working directory lies in; else the working directory,
    with the configuration that was given, that it has, or that the installed wheel brings; else the project that this
    code lies in."""
    here = Path.cwd()
    project_path = find_kedro_project(here)
    if project_path is not None or conf_source or (here / "conf").is_dir():
        return project_path or here, conf_source
    brought = shipped("conf")
    if brought is not None:
        return here, str(brought)
    project_path = find_kedro_project(Path(__file__).parent)
    if project_path is None:
        raise click.ClickException(
            f"There is no project in {here} or above it; change into the project's folder, or give its "
            "configuration with --conf-source."
        )
    return project_path, None


def _name_nodes(options: dict[str, Any]) -> None:
    """Nodes and stages of the command line under the names that Kedro knows them by."""
    from kedro.framework.project import pipelines

    if options["pipelines"]:
        check_pipelines(options["pipelines"], pipelines)
    pipeline = sum((pipelines[name] for name in options["pipelines"] or ["__default__"]), Pipeline([]))
    for option in ("node_names", "from_nodes", "to_nodes"):
        if options.get(option):
            options[option] = full_names(options[option], pipeline)
    check_names(options, pipeline, Path.cwd())


def _keep_traceback() -> str:
    """Write the traceback where it does not disturb, and say where; nothing when that fails as well."""
    try:
        ERROR_LOG.parent.mkdir(exist_ok=True)
        ERROR_LOG.write_text(" ".join(sys.argv) + "\n" + traceback.format_exc(), encoding="utf-8")
    except OSError:
        return ""
    return f" [details: {ERROR_LOG}]"


class RunCommand(click.Command):
    """A command that refuses an option given twice: click would take the last one and drop the others."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for options that are there twice, then parse as click does."""
        given = [name for word in args if (name := word.partition("=")[0]).startswith("--")]
        for name in given:
            if given.count(name) > 1:
                raise click.UsageError(
                    f"{name} is given twice, and only the last would count; give it once, with commas between "
                    "its items."
                )
        return super().parse_args(ctx, args)


def _in_one_sentence(option: click.Parameter, callback: Callable[..., Any]) -> Callable[..., Any]:
    """A callback of Kedro's that says in one line what its value lacks."""

    def said(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            return callback(context, parameter, value)
        except KedroCliError as error:
            raise click.ClickException(one_line(error)) from error
        except (
            YAMLError,
            OmegaConfBaseException,
            LookupError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:
            raise click.ClickException(
                f"{value} cannot be used for {option.opts[0]} ({one_line(error)}); it should be a YAML file with a "
                "group 'run' of options, as 'pipeline: generate'."
            ) from error

    return said


def _options() -> list[click.Parameter]:
    options = {option.name: copy.copy(option) for option in kedro_run.params}
    for option in options.values():
        if option.callback is not None:
            option.callback = _in_one_sentence(option, option.callback)
    options["params"].callback = params_callback
    options["params"].help = PARAMS_HELP
    options["only_missing_outputs"].help = ONLY_MISSING_HELP
    verbose = click.Option(["--verbose", "-v"], is_flag=True, help="Show the traceback of an error.")
    return [*options.values(), verbose]


run = RunCommand("run", callback=_execute, params=_options(), help="Run a pipeline (`generate` by default).")
