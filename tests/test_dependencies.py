"""The versions that are tested are inside the ranges that the package asks for."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==") for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    )
    if version
}


@pytest.mark.parametrize("text", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
def test_the_lock_holds_a_version_in_range(text: str) -> None:
    requirement = Requirement(text)
    name = canonicalize_name(requirement.name)
    if name != canonicalize_name(PROJECT["name"]):  # the extra `dev` takes in another extra
        assert requirement.specifier.contains(LOCK[name])


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_other_projects_can_stand_beside_this_one(text: str) -> None:
    assert not any(one.operator in ("==", "===") for one in Requirement(text).specifier)
