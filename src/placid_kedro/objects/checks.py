"""What can be wrong with a run before its first object; imports nothing heavy."""

from __future__ import annotations

import shutil
from pathlib import Path

from placid_kedro.errors import ModelError, ResourceError
from placid_kedro.files import is_local
from placid_kedro.objects.config import FilterParameters, RenderParameters


def check_renderer(parameters: RenderParameters) -> None:
    """Refuse a renderer that is not there, before it fails on every object.

    Raises:
        ResourceError: naming the command.
    """
    command = parameters.blender.command
    if parameters.renderer == "blender" and shutil.which(command) is None:
        raise ResourceError(
            f"Blender cannot be started as {command}; make its environment with `make blender`, or give a command "
            "with --params syncdreamer_render.blender.command=COMMAND"
        )


def check_scorer(parameters: FilterParameters, project_path: Path) -> None:
    """Refuse a rule on scores without its scorer: it would come to light after everything is rendered.

    Raises:
        ModelError: naming the folder.
    """
    scorer = parameters.score.scorer
    if not parameters.score.enabled or not is_local(scorer):
        return
    folder = project_path / Path(scorer).expanduser()
    if not folder.is_dir():
        raise ModelError(
            f"The scorer of the stage filter is not at {folder}; give another with filter.score.scorer."
        )
