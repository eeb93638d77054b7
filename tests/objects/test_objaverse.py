"""Objects from an Objaverse cache."""

from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest

from placid_kedro.errors import DataError
from placid_kedro.files import file_hash
from placid_kedro.objects import objaverse_cache
from placid_kedro.objects.config import IngestParameters, ObjaverseSource
from placid_kedro.objects.objaverse_cache import ObjaverseCache, list_objaverse
from placid_kedro.objects.table import to_table
from placid_kedro.rejections import Reason


@pytest.fixture
def objaverse(objaverse_cache: Path, ingest_parameters: IngestParameters) -> ObjaverseSource:
    return ingest_parameters.objaverse.model_copy(update={"cache": str(objaverse_cache)})


def test_what_a_real_cache_holds(objaverse: ObjaverseSource, objaverse_cache: Path) -> None:
    records = list_objaverse(objaverse, seed=0)
    assert len(records) == 7
    pegboard = next(record for record in records if record.uid == "db7339a98f464ff38e3c3e32c924ca65")
    assert (pegboard.category, pegboard.caption, pegboard.reason) == ("pegboard", "pegboard", "")
    assert pegboard.bytes == 515552
    assert pegboard.sha256 == file_hash(Path(pegboard.path))


def test_objects_that_are_not_in_the_cache_are_rejected_rows(
    objaverse: ObjaverseSource, objaverse_cache: Path
) -> None:
    by_category = objaverse.model_copy(update={"select": "lvis", "categories": ("pegboard",)})
    records = list_objaverse(by_category, seed=0)
    assert sum(not record.reason for record in records) == 1
    assert {record.reason for record in records if record.reason} == {Reason.NOT_IN_LIBRARY}
    by_list = objaverse.model_copy(
        update={"select": "list", "list": str(objaverse_cache / "lgm_80k.csv"), "count": 50}
    )
    assert len(list_objaverse(by_list, seed=0)) == 50


def test_lines_of_a_list_with_other_columns_are_rejected_rows(
    objaverse: ObjaverseSource, tmp_path: Path
) -> None:
    listed = tmp_path / "list.csv"
    source = objaverse.model_copy(update={"select": "list", "list": str(listed)})
    good = "000-000,db7339a98f464ff38e3c3e32c924ca65"
    listed.write_text(f"{good}\na chair,red,wood\n000-000,../../secret\n{good}\n")
    table = to_table(list_objaverse(source, seed=0))
    assert list(table["reason"]) == ["", Reason.BAD_UID, Reason.BAD_UID]
    assert "a chair,red,wood" in table["detail"][1]
    listed.write_text("name,caption,licence\na,b,c\n")
    with pytest.raises(DataError, match="its first line is 'name,caption,licence'"):
        list_objaverse(source, seed=0)
    listed.write_text("")
    with pytest.raises(DataError, match="it is empty"):
        list_objaverse(source, seed=0)


def test_a_random_choice_follows_the_seed(objaverse: ObjaverseSource) -> None:
    source = objaverse.model_copy(update={"select": "random", "count": 4})
    chosen = [[record.uid for record in list_objaverse(source, seed)] for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_nothing_is_fetched_without_leave(tmp_path: Path, objaverse: ObjaverseSource) -> None:
    with pytest.raises(DataError, match="does not exist"):
        list_objaverse(objaverse.model_copy(update={"cache": str(tmp_path)}), seed=0)
    with pytest.raises(DataError, match="no category 'no such'"):
        list_objaverse(objaverse.model_copy(update={"select": "lvis", "categories": ("no such",)}), seed=0)


class FlakyObjaverse:
    """Stands in for the `objaverse` package and its network: the first attempt breaks off, `c` is never served."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[list[str]] = []

    def _load_object_paths(self) -> dict[str, str]:
        return {uid: f"glbs/000-000/{uid}.glb" for uid in "abc"} | {"d": "../../outside.glb"}

    def load_lvis_annotations(self) -> dict[str, list[str]]:
        return {"chair": ["a", "b"]}

    def load_annotations(self, uids: list[str]) -> dict[str, dict]:
        return {
            uid: {"name": f"object {uid}", "license": "by", "user": {"displayName": "Ann"}} for uid in uids
        }

    def load_objects(self, uids: list[str], download_processes: int) -> None:
        self.asked.append(uids)
        if len(self.asked) == 1:
            raise URLError("connection reset")
        (self.root / "glbs/000-000/b.glb").write_bytes(b"b")
        raise OSError("c is not there")


def test_downloads_are_tried_again_and_cost_only_what_is_missing(
    ingest_parameters: IngestParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "hf-objaverse-v1"
    (root / "glbs/000-000").mkdir(parents=True)
    (root / "glbs/000-000/a.glb").write_bytes(b"a")
    (tmp_path / "list.csv").write_text("000-000,a\n000-000,b\n000-000,c\n000-000,d\n")
    package = FlakyObjaverse(root)
    monkeypatch.setattr(ObjaverseCache, "_package", lambda cache: package)
    monkeypatch.setattr(objaverse_cache, "time", SimpleNamespace(sleep=lambda seconds: None))
    source = ingest_parameters.objaverse.model_copy(
        update={
            "cache": str(tmp_path),
            "select": "list",
            "list": str(tmp_path / "list.csv"),
            "download": True,
        }
    )
    records = {record.uid: record for record in list_objaverse(source, seed=0)}
    assert package.asked == [["b", "c"]] * 3
    assert [records[uid].reason for uid in "abcd"] == ["", "", Reason.NOT_DOWNLOADED, Reason.NOT_IN_LIBRARY]
    assert (records["b"].licence, records["b"].attribution, records["b"].category) == (
        "CC BY 4.0",
        "Ann",
        "chair",
    )
    assert records["b"].caption == "object b"
    # What is there is not asked for again.
    package.asked = [["an earlier run"]]
    (root / "glbs/000-000/c.glb").write_bytes(b"c")
    assert not any(record.reason for record in list_objaverse(source, seed=0)[:3])
    assert len(package.asked) == 1
