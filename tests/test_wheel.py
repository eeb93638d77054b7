"""The wheel in an environment of its own: it runs in an empty folder, with its own configuration and models."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PLACE = "placid_kedro/shipped/"


def output_of(*command: object, cwd: Path, **environment: str) -> str:
    """What a program prints; without this checkout's code on its path."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KEDRO_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sources, with a person's own configuration among them."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("conf", "src"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "conf" / "local" / "credentials.yml").write_text("judge: {api_key: secret}\n")
    for name in ("models", "LICENSE", "README.md", "pyproject.toml", "setup.py"):
        (source / name).symlink_to(REPOSITORY / name)
    build = ("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", target, source)
    output_of(sys.executable, "-m", *build, cwd=source)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, and this environment's packages behind it."""
    folder = tmp_path_factory.mktemp("environment")
    output_of(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin" / "python"


def test_the_wheel_brings_configuration_and_models_and_nothing_of_a_person(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        brought = {
            name.removeprefix(PLACE): archive.read(name)
            for name in archive.namelist()
            if name.startswith(PLACE)
        }
    models = {
        path.relative_to(REPOSITORY).as_posix(): path.read_bytes()
        for path in (REPOSITORY / "models").rglob("*")
        if path.is_file()
    }
    assert {name: content for name, content in brought.items() if name.startswith("models/")} == models
    assert {name.split("/")[1] for name in brought if name.startswith("conf/")} == {
        "base",
        "cuda",
        "draft",
        "local",
        "logging.yml",
        "paper",
    }
    assert [name for name in brought if name.startswith("conf/local/")] == ["conf/local/.gitkeep"]


def test_it_runs_in_an_empty_folder(python: Path, tmp_path: Path) -> None:
    anything = ("smallest=0.0", "largest=1.0", "border=1.0", "pieces=1000000")
    given = ["prompt=a cactus", "reference.steps=1", "tracking.enabled=false"]
    params = ",".join([*given, *(f"reference.mask.{rule}" for rule in anything)])
    stages = ("--pipelines", "prompt,reference", "--params", params)
    output_of(python, "-m", "placid_kedro", *stages, cwd=tmp_path)
    assert (tmp_path / "data/08_reporting/a-cactus/reference.png").is_file()


@pytest.mark.parametrize(("folder", "expected"), [("models", "./models"), ("elsewhere", "shipped/models")])
def test_a_folder_models_goes_before_the_wheels(
    python: Path, tmp_path: Path, folder: str, expected: str
) -> None:
    (tmp_path / folder).mkdir()
    program = "from placid_kedro.app.config_loader import models_root; print(models_root())"
    assert output_of(python, "-c", program, cwd=tmp_path).strip().endswith(expected)
    named = output_of(python, "-c", program, cwd=tmp_path, PLACID_KEDRO_MODELS=str(tmp_path))
    assert named.strip() == str(tmp_path)
