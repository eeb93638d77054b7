"""Uids, duplicates, lists and csv files of any shape."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.errors import DataError
from placid_kedro.objects.lists import (
    CsvRow,
    ListedUid,
    read_captions,
    read_lines,
    read_listed_uids,
    read_records,
    read_rows,
    read_uids,
)
from placid_kedro.objects.table import (
    ObjectRecord,
    count_by_reason,
    describe_counts,
    is_uid,
    read_table,
    reject,
    to_table,
)
from placid_kedro.rejections import Reason


@pytest.mark.parametrize(
    "uid", ["../etc", "a/b", "a\\b", "", ".", "..", "a b", "a\n", "-a", "ä", "x" * 121, "a\0"]
)
def test_what_is_no_uid(uid: str) -> None:
    assert not is_uid(uid)


@given(st.text(max_size=40))
def test_a_uid_never_leaves_its_folder(text: str) -> None:
    if is_uid(text):
        assert Path("/views", text).resolve().parent == Path("/views")


def test_bad_and_repeated_uids_keep_their_rows() -> None:
    table = to_table(
        [ObjectRecord("a", "folder"), ObjectRecord("../b", "folder"), ObjectRecord("a", "objaverse")]
    )
    assert list(table["reason"]) == ["", Reason.BAD_UID, Reason.DUPLICATE_UID]
    assert count_by_reason(table) == {"accepted": 1, "bad_uid": 1, "duplicate_uid": 1}


def test_a_rejected_row_does_not_take_the_uid() -> None:
    missing = ObjectRecord("a", "folder", reason=Reason.MISSING_FILE.value)
    assert list(to_table([missing, ObjectRecord("a", "folder")])["reason"]) == [Reason.MISSING_FILE, ""]


def test_the_first_reason_stays() -> None:
    table = to_table([ObjectRecord("a", "folder"), ObjectRecord("b", "folder", reason="crashed", detail="x")])
    result = reject(table, {uid: (Reason.FLAT_COLOR, "y") for uid in "ab"})
    assert list(result["reason"]) == ["flat_color", "crashed"]
    assert list(result["detail"]) == ["y", "x"]
    assert list(table["reason"]) == ["", "crashed"]


def test_only_the_named_objects_are_rejected() -> None:
    table = to_table(ObjectRecord(uid, "folder") for uid in "abc")
    result = reject(
        table, {"c": (Reason.FLAT_COLOR, "x"), "a": (Reason.NO_COLOR, "y"), "z": (Reason.CRASHED, "")}
    )
    assert list(result["reason"]) == ["no_color", "", "flat_color"]
    assert list(result["detail"]) == ["y", "", "x"]
    pd.testing.assert_frame_equal(reject(table, {}), table)


def test_one_line_tells_what_became_of_the_objects() -> None:
    table = to_table(ObjectRecord(uid, "folder") for uid in ("a", "b", "b", "../c", "b"))
    assert describe_counts(table) == ("2 of 5 objects are accepted; rejected: 2 duplicate_uid, 1 bad_uid")
    assert describe_counts(table[:1]) == "1 of 1 objects are accepted; rejected: none"


def test_a_table_comes_back_from_parquet(tmp_path: Path) -> None:
    table = to_table([ObjectRecord("a", "folder", caption="ünï, \n", bytes=3)])
    table.to_parquet(tmp_path / "t.parquet", index=False)
    assert read_table(tmp_path / "t.parquet").to_dict("records") == table.to_dict("records")
    table.drop(columns="uid").to_parquet(tmp_path / "u.parquet")
    with pytest.raises(DataError, match="column 'uid'"):
        read_table(tmp_path / "u.parquet")
    (tmp_path / "v.parquet").write_text("no")
    with pytest.raises(DataError, match="table of objects"):
        read_table(tmp_path / "v.parquet")


def test_uids_of_lists_of_all_kinds(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("uid\n000-001,aa\n\n000-002/bb.glb\ncc\n000-001,aa\n")
    assert read_uids(str(path)) == ["aa", "bb", "cc"]
    path.write_text("000-001,../../x\n../y.glb\n")
    assert read_uids(str(path)) == ["../../x", "../y.glb"]  # no uids: their rows will say so


@pytest.mark.parametrize("line", ["000-001,b,c", "a caption,x", "000-001,"])
def test_a_csv_with_other_columns_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.csv").write_text(f"000-000,ok\n{line}\n")
    with pytest.raises(DataError, match="Line 2"):
        read_uids(str(tmp_path / "list.csv"))
    good, other = read_listed_uids(str(tmp_path / "list.csv"))
    assert good == ListedUid(1, "000-000,ok", "ok")
    assert other == ListedUid(2, line, "")


def test_lgm_list(objaverse_cache: Path) -> None:
    uids = read_uids(str(objaverse_cache / "lgm_80k.csv"))
    assert len(uids) == 82575
    assert uids[0] == "112c059282cf4511a01fd27211edcae8"


def test_captions_may_have_commas(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('a,a red, wooden chair\nb,"x, y"\n')
    assert read_captions(str(tmp_path / "c.csv")) == {"a": "a red, wooden chair", "b": "x, y"}
    (tmp_path / "c.csv").write_text("alone\n")
    with pytest.raises(DataError, match="Line 1"):
        read_captions(str(tmp_path / "c.csv"))


def test_records_need_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("file,caption\na.glb,a ball\n")
    assert read_records(str(path), ("caption",)) == [{"file": "a.glb", "caption": "a ball"}]
    with pytest.raises(DataError, match="no 'licence'"):
        read_records(str(path), ("licence",))
    path.write_text("file,caption\na.glb,a red, small ball\n")
    with pytest.raises(DataError, match="quote its commas"):
        read_records(str(path), ("caption",))
    assert read_rows(str(path), ("caption",)) == [CsvRow(2, {"file": "a.glb", "caption": "a red"}, surplus=1)]
    path.write_text("file,caption\na.glb\n")
    assert read_rows(str(path), ("caption",)) == [CsvRow(2, {"file": "a.glb", "caption": ""}, surplus=0)]


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="check its path"):
        read_lines(str(tmp_path / "none.txt"))
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_lines(str(tmp_path / "b.txt"))
    with pytest.raises(DataError, match="cannot be read"):
        read_lines("http://127.0.0.1:9/none.txt")


def test_a_list_by_url(tmp_path: Path) -> None:
    import http.server
    import threading
    from functools import partial

    (tmp_path / "words.txt").write_text("flying\nbroken\n")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *arguments: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert read_lines(f"http://127.0.0.1:{server.server_port}/words.txt") == ["flying", "broken"]
        server.shutdown()
