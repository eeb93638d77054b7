"""The curated list, and the draw that it keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.embedded.training.split import read_split
from placid_kedro.errors import DataError
from placid_kedro.objects.split import hold_out, normal_name

# The objects of the prompts by which generation is measured.
KEPT = {
    "teddy bear", "rocking horse", "upright piano", "snowman", "fire hydrant", "cactus", "electric guitar",
    "dog house", "wheelbarrow", "palm tree", "hamburger", "desk lamp", "chair", "sofa", "soccer ball",
    "coffee mug", "bicycle", "refrigerator", "christmas tree", "biplane",
}  # fmt: skip


def test_the_curated_list_is_the_draw_by_seed():
    split = read_split()
    assert len(split.objects) == 820
    drawn, unseen = hold_out([one.name for one in split.objects], KEPT, 60, seed=2024)
    assert {split.objects[index].uid for index in drawn} == {one.uid for one in split.held_out}
    parts = [one.part for one in split.objects]
    assert [index for index, part in enumerate(parts) if part in ("held_out", "withheld")] == unseen


def test_the_prompts_objects_are_in_the_vocabulary():
    assert {normal_name(one.name) for one in read_split().vocabulary} >= KEPT


def test_no_trained_object_shares_a_name_with_an_unseen_one():
    split = read_split()
    trained = {normal_name(one.name) for one in split.trained}
    assert not trained & {normal_name(one.name) for one in split.objects if one not in split.trained}
    assert len(split.trained) + 110 == 820


NAMES = st.lists(st.sampled_from(["Chair", "chair ", "sofa", "Lamp", "lamp", "piano", "bed"]), min_size=1)


@given(NAMES, st.integers(0, 5), st.integers(0, 99))
def test_what_is_held_out(names, count, seed):
    drawn, unseen = hold_out(names, {"sofa"}, count, seed)
    candidates = [name for name in names if name != "sofa"]
    assert len(drawn) == len(set(drawn)) == min(count, len(candidates))
    assert (
        set(drawn)
        <= set(unseen)
        == {
            index
            for index, name in enumerate(names)
            if normal_name(name) in {normal_name(names[i]) for i in drawn}
        }
    )
    assert "sofa" not in {names[index] for index in unseen}
    assert hold_out(names, {"sofa"}, count, seed) == (drawn, unseen)


HEADER = "uid,catalog_id,name,part,adjectives\n"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("a,x,A,seen,\n", "part 'seen'"),
        ("a,x,A,vocabulary,\na,x,B,train,\n", "holds a twice"),
        ("a,x,A,vocabulary,\nb,x,a ,held_out,\n", "shares the name 'A'"),
        ("a,x,A,train,\n", "none in the part 'vocabulary'"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(tmp_path, rows, sentence):
    path = tmp_path / "objects.csv"
    path.write_text(HEADER + rows)
    with pytest.raises(DataError, match=sentence):
        read_split(path)


def test_adjectives_are_read(tmp_path):
    path = tmp_path / "objects.csv"
    path.write_text(HEADER + "a,Lib#a,Chair,vocabulary,red wooden\n")
    (one,) = read_split(path).vocabulary
    assert one.adjectives == ("red", "wooden") and one.catalog_id == "Lib#a"
