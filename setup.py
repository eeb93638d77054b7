"""Puts the configuration and the embedded models beside the code of a wheel. All else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# The tests' sizes, and everything of conf/local, which is a person's own, but its place.
_LEFT_OUT = shutil.ignore_patterns("test")


class WithProject(build_py):
    """Also copies `conf` and `models`, where the source has them; an editable package finds them in its project."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "placid_kedro" / "shipped"
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for name in ("conf", "models"):
            if Path(name).is_dir():
                shutil.copytree(name, target / name, ignore=_LEFT_OUT)
        local = target / "conf" / "local"
        if local.is_dir():
            shutil.rmtree(local)
            local.mkdir()
            (local / ".gitkeep").touch()


setup(cmdclass={"build_py": WithProject})
