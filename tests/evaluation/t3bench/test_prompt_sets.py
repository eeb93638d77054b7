"""Prompts as people's files hold them, and the paper's rows beside measured ones."""

from pathlib import Path

import pytest

from placid_kedro.errors import DataError
from placid_kedro.evaluation.t3bench.prompt_sets import find_objects, read_prompt_set
from placid_kedro.evaluation.t3bench.published import beside_published, published_rows

LINES = 'a cat: red\r\n\r\n  a "blue" dog \r\nan artist\u2019s easel, old\r\n'


def prompts(path: Path) -> list[str]:
    return [prompt for prompt, _ in read_prompt_set(str(path), path.parent / "cache").rows]


def test_blank_lines_line_ends_colons_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(b"\xef\xbb\xbf" + LINES.encode())
    assert prompts(path) == ["a cat: red", 'a "blue" dog', "an artist\u2019s easel, old"]


def test_a_table_names_files(tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text('file,prompt\nx.ply,"a cat, ""red"": old"\n,a dog\n')
    found = read_prompt_set(str(path), tmp_path)
    assert found.rows == (('a cat, "red": old', "x.ply"), ("a dog", ""))
    (tmp_path / "x.ply").touch()
    (tmp_path / "a-dog").mkdir()
    (tmp_path / "a-dog/gaussians.ply").touch()
    assert [one.path for one in find_objects(found, tmp_path)] == [
        tmp_path / "x.ply",
        tmp_path / "a-dog/gaussians.ply",
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty.txt", "\n \r\n", "holds no prompt"),
        ("twice.txt", "a cat\na cat\n", "'a cat' twice"),
        ("other.csv", "text\na cat\n", "no 'prompt'"),
    ],
)
def test_what_is_no_prompt_set(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        prompts(tmp_path / name)


def test_what_comes_by_url_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    asked = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(LINES.encode())

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    first, again = (read_prompt_set("https://example.org/single.txt", tmp_path) for _ in range(2))
    assert first == again and len(first.rows) == 3 and asked == ["https://example.org/single.txt"]


def test_a_prompt_without_an_object_counts_and_none_at_all_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\na dog\n")
    found = read_prompt_set(str(tmp_path / "prompts.txt"), tmp_path)
    with pytest.raises(DataError, match=r"a-cat\.ply"):
        find_objects(found, tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        find_objects(found, tmp_path / "nowhere")
    (tmp_path / "a-dog.ply").touch()
    assert [one.path is None for one in find_objects(found, tmp_path)] == [True, False]


def test_published_averages_are_those_of_their_row() -> None:
    rows = published_rows()
    assert len(rows) == 12
    # The paper rounds each of the three.
    assert ((rows.quality + rows.alignment) / 2 - rows.average).abs().max() <= 0.1
    assert rows.set_index("row").loc["PlacidDreamer"].tolist() == [62.4, 59.8, 61.1]


def test_a_stand_ins_number_stands_in_a_column_of_its_own() -> None:
    lines = beside_published({"quality_embedded": 71.24, "alignment": 50.0}, "mine", 3).splitlines()
    assert lines[0] == "| | quality | alignment | average | quality_embedded | |"
    assert lines[-1] == "| mine |  | 50.0 |  | 71.2 | measured, 3 objects |"
    assert "| PlacidDreamer | 62.4 | 59.8 | 61.1 |  | published |" in lines
    both = beside_published({"quality": 60.0, "alignment": 50.0, "quality_raw": 0.5}, "mine", 3)
    assert "| mine | 60.0 | 50.0 | 55.0 | measured, 3 objects |" in both
