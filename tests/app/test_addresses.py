"""Passwords are never shown."""

import pytest

from placid_kedro.app.addresses import without_password
from placid_kedro.app.run_record import RunRecord
from placid_kedro.app.tracking import start_run
from placid_kedro.config import TrackingParameters
from placid_kedro.errors import TrackingError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("http://host:5000/a", "http://host:5000/a"),
        ("https://me:s3cret@host:5000/a", "https://me:***@host:5000/a"),
        ("postgresql://me:s/e:c@ret@host/db is gone", "postgresql://me:***@host/db is gone"),
        ("http://:s3cret@host", "http://:***@host"),
        ("https://host/?user=me&password=s3cret&x=1", "https://host/?user=me&password=***&x=1"),
    ],
)
def test_a_password_is_three_stars(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_a_store_that_cannot_be_used_is_named_without_its_password(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    parameters = TrackingParameters(
        enabled=True, uri="http://me:s3cret@127.0.0.1:9", experiment="x", timeout_seconds=1, batch_steps=1
    )
    with pytest.raises(TrackingError, match=r"http://me:\*\*\*@127\.0\.0\.1:9 cannot be used") as raised:
        start_run(parameters, tmp_path, RunRecord("a", {}, {}))  # type: ignore[arg-type]
    assert "s3cret" not in str(raised.value)
