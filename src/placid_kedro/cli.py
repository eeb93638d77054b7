"""Commands of the project, loaded when they are used: `run` in the place of Kedro's own, and `preflight`."""

import click
from kedro.framework.cli.utils import LazyGroup


@click.group(
    name="placid_kedro",
    cls=LazyGroup,
    lazy_subcommands={
        "run": "placid_kedro.app.run_command.run",
        "preflight": "placid_kedro.app.preflight_command.preflight",
    },
)
def cli() -> None:
    """Commands of placid_kedro."""
