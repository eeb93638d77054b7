"""What docs/paper.md and the other pages name is there: files, functions, tests and parameters."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "docs/paper.md", ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs/glossary.md"]
PLACE = re.compile(r"`((?:src|tests|conf|docs|benchmarks|notebooks|tools)/[\w./-]*)(?:::(\w+))?`")
PARAMETER = re.compile(r"`params:([\w.]+)`")


@cache
def names_in(path: Path) -> set[str]:
    """Functions and classes of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@cache
def parameters() -> dict[str, Any]:
    """All of conf/base, by their first names."""
    files = sorted((ROOT / "conf/base").glob("parameters*.yml"))
    return {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_functions_of_a_page_exist(page: Path) -> None:
    for place, name in PLACE.findall(page.read_text(encoding="utf-8")):
        if "NAME" in place:  # for the reader to fill in
            continue
        path = ROOT / place
        assert path.exists(), place
        if name:
            assert name in names_in(path), f"{place}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_parameters_of_a_page_exist(page: Path) -> None:
    for path in PARAMETER.findall(page.read_text(encoding="utf-8")):
        value: Any = parameters()
        for part in path.split("."):
            assert isinstance(value, dict) and part in value, path
            value = value[part]


def test_every_equation_and_figure_of_the_method_is_on_the_page() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    numbers = {int(n) for n in re.findall(r"Eq\. (\d+)", text)}
    for first, last in re.findall(r"Eq\. (\d+)-(\d+)", text):
        numbers |= set(range(int(first), int(last) + 1))
    assert numbers >= {*range(3, 11), *range(16, 24)}
    assert {int(n) for n in re.findall(r"^\| Fig\. (\d+)", text, re.M)} >= {2, 3, 5, 9, 10, 11}
