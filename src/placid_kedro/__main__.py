"""`python -m placid_kedro`: the same as `kedro run` in the project's folder, with the same options."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run a pipeline of the project from the command line."""
    package = Path(__file__).parent
    if not Path("conf/logging.yml").exists():
        # Kedro reads this when it is imported, and says so at length where it finds nothing.
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(package / "logging.yml"))
    from kedro.framework.project import configure_project

    configure_project(package.name)
    from placid_kedro.app.run_command import run

    run.main(args=sys.argv[1:], prog_name="placid_kedro")


if __name__ == "__main__":
    main()
