"""Keys of services, from Kedro's credentials."""

from typing import Any

from kedro.io import AbstractDataset


class CredentialsDataset(AbstractDataset[None, dict[str, str]]):
    """A group of conf/*/credentials.yml as it stands there; it lives in memory and is shown nowhere."""

    def __init__(self, *, credentials: dict[str, str], metadata: dict[str, Any] | None = None) -> None:
        """
        Args:
            credentials: filled in by Kedro from the group that the catalog names.
            metadata: read by Kedro-Viz.
        """
        self._credentials = dict(credentials)
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """The group's values."""
        return dict(self._credentials)

    def save(self, data: None) -> None:
        """Credentials are not written by runs."""
        raise NotImplementedError("Credentials are read from conf/, never written.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}
