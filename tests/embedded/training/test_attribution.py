"""The attribution file: every trained object, nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from placid_kedro.embedded.training.attribution import Credit, attribution_text
from placid_kedro.embedded.training.card import model_card
from placid_kedro.embedded.training.cost import PretrainPlan, StageCost
from placid_kedro.embedded.training.split import read_split

COMMITTED = Path(__file__).parents[3] / "models/ATTRIBUTION.md"


def test_libraries_with_their_licences_and_creators():
    credits = [
        Credit("A#2", "Zebra", "Ann", "A", "Creative Commons Attribution 3.0 Unported license"),
        Credit("A#1", "Ape | man", "", "A", "Creative Commons Attribution 3.0 Unported license"),
        Credit("B#1", "Bed", "Bo", "B", "Public domain"),
    ]
    text = attribution_text(credits)
    assert "the 3 3D objects" in text
    assert text.index("## A") < text.index("Ape / man") < text.index("Zebra") < text.index("## B")
    assert "https://creativecommons.org/licenses/by/3.0/" in text
    assert "https://creativecommons.org/publicdomain/zero/1.0/" in text
    assert "| Zebra | Ann | `A#2` |" in text and "| Ape / man | not named | `A#1` |" in text


@pytest.mark.skipif(not COMMITTED.is_file(), reason="models/ is not there")
def test_the_committed_file_names_exactly_the_trained_objects():
    text, split = COMMITTED.read_text(encoding="utf-8"), read_split()
    named = {line.split("`")[1] for line in text.splitlines() if line.startswith("| ") and "`" in line}
    assert named == {one.catalog_id for one in split.trained}


def test_the_card_lists_the_vocabulary_and_the_cost():
    stages = (StageCost(stage="text_to_image", steps=10, samples=480, hours=2.5),)
    split = read_split()
    plan = PretrainPlan(
        objects=710, vocabulary=2, held_out=60, made=3000, disk_mb=10.0, machine="2 CPU cores", stages=stages
    )
    card = model_card(split, plan, size=128, views=32, patch=8)
    assert "teddy bear" in card and "| text_to_image | 10 | 480 | 2.50 |" in card
    assert "{" not in card
    assert plan.lines()[1].endswith("10 steps, 480 samples, about 2 h 30 min")
