"""`python -m placid_kedro`: the same as `kedro run` in the project's folder, with the same options."""

import sys
from pathlib import Path

from kedro.framework.project import configure_project


def main() -> None:
    """Run a pipeline of the project from the command line."""
    configure_project(Path(__file__).parent.name)
    from placid_kedro.app.run_command import run

    run.main(args=sys.argv[1:], prog_name="placid_kedro")


if __name__ == "__main__":
    main()
