"""Commands of the project that take the place of Kedro's own, loaded when they are used."""

import click
from kedro.framework.cli.utils import LazyGroup


@click.group(name="placid_kedro", cls=LazyGroup, lazy_subcommands={"run": "placid_kedro.app.run_command.run"})
def cli() -> None:
    """Commands of placid_kedro."""
