"""The model hub, as far as this project asks it: what a repository holds, and its files in the client's cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from placid_kedro.errors import ModelError
from placid_kedro.models.layout import INDEX

_TIMEOUT_SECONDS = 10.0


def split_revision(source: str) -> tuple[str, str]:
    """Name and revision of a model that its own library loads: of `owner/name@revision`, or of a folder.

    Without a revision it is the main branch; a folder has none, and none is looked at.
    """
    if Path(source).expanduser().is_dir():
        return source, "main"
    name, _, revision = source.partition("@")
    return name, revision or "main"


class HubUnreachable(ModelError):
    """The hub does not answer, or the client is told to stay offline."""


@dataclass(frozen=True)
class Repository:
    """What the hub says of a model.

    Attributes:
        name: its id.
        revision: branch, tag or commit that was asked for; None for the main branch.
        commit: 40 hexadecimal digits, what the revision is now.
        sizes: bytes of every file, by path.
    """

    name: str
    revision: str | None
    commit: str
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class Hub:
    """The client of the hub.

    Attributes:
        endpoint: address of the hub; None for the client's own.
        cache: folder of what was fetched; None for the client's own.
    """

    endpoint: str | None = None
    cache: Path | None = None

    @property
    def cache_folder(self) -> Path:
        """Where fetched files go."""
        from huggingface_hub import constants

        return self.cache or Path(constants.HF_HUB_CACHE)

    def cached_folder(self, name: str, revision: str | None) -> Path | None:
        """The folder of a model of which at least the index was fetched before; asks no network."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, INDEX, cache_dir=self.cache, revision=revision)
        return Path(found).parent if isinstance(found, str) else None

    def repository(self, name: str, revision: str | None) -> Repository:
        """What a model's repository holds.

        Raises:
            HubUnreachable: the hub does not answer.
            ModelError: it has no such repository or revision, or keeps it to itself.
        """
        from huggingface_hub import HfApi

        with _said_in_a_sentence(name, revision):
            info = HfApi(endpoint=self.endpoint).model_info(
                name, revision=revision, files_metadata=True, timeout=_TIMEOUT_SECONDS
            )
        return Repository(
            name, revision, str(info.sha), {file.rfilename: file.size or 0 for file in info.siblings or ()}
        )

    def fetch(self, repository: Repository, files: Sequence[str]) -> Path:
        """Fetch files of a model that are not in the cache yet.

        Returns:
            The folder that they lie in.

        Raises:
            HubUnreachable, ModelError: as `repository`.
        """
        from huggingface_hub import hf_hub_download, snapshot_download

        # Asked for by its own name, a branch is noted in the cache, where a run without a network finds it.
        name, revision = repository.name, repository.revision
        with _said_in_a_sentence(name, revision):
            if len(files) == 1:
                path = hf_hub_download(
                    name, files[0], revision=revision, cache_dir=self.cache, endpoint=self.endpoint
                )
                return Path(path).parents[files[0].count("/")]
            folder = snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(files),
                cache_dir=self.cache,
                endpoint=self.endpoint,
            )
        return Path(folder)


@contextmanager
def _said_in_a_sentence(name: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        raise ModelError(
            f"{name} is gated: accept its terms on the hub and log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"the hub has no public model {name}") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{name} has no revision {revision}") from error
    except HFValidationError as error:
        raise ModelError(f"{name} is no name of a model on the hub") from error
    except EntryNotFoundError as error:
        # The client says so of a file that it can neither find in the cache nor ask for.
        raise HubUnreachable(f"{name} cannot be fetched from the hub ({type(error).__name__})") from error
    except Exception as error:  # the client's, its HTTP library's and the operating system's errors
        raise HubUnreachable(f"{name} cannot be fetched from the hub ({type(error).__name__})") from error
