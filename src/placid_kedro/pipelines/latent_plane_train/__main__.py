"""The stage on one to many GPUs: `accelerate launch --num_processes N -m placid_kedro.pipelines.latent_plane_train`,
with the options of `kedro run` behind it.

The first process runs the pipeline: it shows the progress, records the run and writes the artifacts. The others take
the same inputs, do their share of every step and write nothing.
"""

import os
import sys
from pathlib import Path
from typing import Any

_STAGE = "latent_plane_train"


def main(arguments: list[str]) -> None:
    """Run the stage, or a share of it."""
    from kedro.framework.project import configure_project

    configure_project("placid_kedro")
    from placid_kedro.app.run_command import run

    arguments = ["--pipeline", _STAGE, *arguments]
    if int(os.environ.get("RANK", "0")) == 0:
        run.main(args=arguments, prog_name=_STAGE)
    else:
        _take_part(run.make_context(_STAGE, arguments).params)


def _take_part(options: dict[str, Any]) -> None:
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession

    session = KedroSession.create(
        project_path=Path.cwd(),
        env=options["env"],
        conf_source=options["conf_source"],
        runtime_params=options["params"],
        save_on_close=False,
    )
    with session:
        catalog = session.load_context().catalog
        for node in pipelines[_STAGE].nodes:
            node.func(*(catalog.load(name) for name in node.inputs))


if __name__ == "__main__":
    main(sys.argv[1:])
