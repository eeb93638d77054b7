"""Stamps: small files beside the artifacts that say from what they were made.

A node's digest is made of its code, the project's code, the parameters it takes and the digests of its
other inputs, each as it was when the node read it. An artifact is up to date when its stamp holds the digest that
its node would have now, and the artifact itself is the one that was stamped.
"""

import hashlib
import inspect
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

import placid_kedro
from placid_kedro.errors import DataError
from placid_kedro.files import content_hash, is_local, new_file


class Stamps:
    """Digests of the datasets of one pipeline, and the stamps beside them."""

    def __init__(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._catalog = catalog
        self._producers = {output: node for node in pipeline.nodes for output in node.outputs}
        self._digests: dict[str, str] = {}
        self._read: dict[str, str] = {}  # digests of datasets as nodes of this run have read them
        self._made: dict[str, str] = {}  # digests of what this run has made in memory

    def path(self, name: str) -> Path | None:
        """Where a dataset lies on disk; None for one that lives in memory."""
        return dataset_path(self._catalog.get(name)) if name in self._catalog else None

    def is_stale(self, node: Node) -> bool:
        """Whether an output of the node on disk is missing or was made from something else."""
        paths = [path for name in node.outputs if (path := self.path(name)) is not None]
        return any(read_stamp(path) != self.digest(node) for path in paths)

    def changed_parameters(self, node: Node) -> set[str]:
        """Names of the parameters, of this node or before it, with other values than its outputs on disk were made
        with; `run`, which says where and not what to compute, apart."""
        now = self._parameters(node)
        paths = [path for name in node.outputs if (path := self.path(name)) is not None]
        return {
            name.removeprefix("params:")
            for path in paths
            for name, digest in read_parameters(path).items()
            if name != "params:run" and now.get(name, digest) != digest
        }

    def _parameters(self, node: Node) -> dict[str, str]:
        """Digests of all parameters that the node's outputs depend on, by name."""
        found: dict[str, str] = {}
        for name in node.inputs:
            path = self.path(name)
            if name in self._producers:
                found |= self._parameters(self._producers[name])
            elif path is not None:
                found |= read_parameters(path)
            elif name.startswith("params:"):
                found[name] = self._input_digest(name)
        return found

    def digest(self, node: Node) -> str:
        """The digest that the node's outputs have when it runs now."""
        return node_digest(node.func, {name: self._input_digest(name) for name in node.inputs})

    def _input_digest(self, name: str) -> str:
        if name not in self._digests:
            path = self.path(name)
            if name in self._producers:
                self._digests[name] = self.digest(self._producers[name])
            elif path is None:
                self._digests[name] = value_digest(self._catalog.load(name))
            else:
                self._digests[name] = current_digest(path)
        return self._digests[name]

    def adopt(self, node: Node, own: str, others: Iterable[str]) -> None:
        """Take over outputs that other runs have made from the very same: linked, not copied.

        Args:
            node: whose outputs are wanted.
            own: folder of this run within each layer.
            others: the same of the runs to look at.
        """
        for name in node.outputs:
            path = self.path(name)
            if path is None or f"/{own}/" not in path.as_posix() or read_stamp(path) == self.digest(node):
                continue
            for other in others:
                twin = Path(f"/{other}/".join(path.as_posix().rsplit(f"/{own}/", 1)))
                if read_stamp(twin) == self.digest(node):
                    _link(twin, path)
                    _link(stamp_path(twin), stamp_path(path))
                    break

    def digest_on_disk(self, name: str) -> str:
        """The digest of a dataset as it is now, whatever is planned."""
        path = self.path(name)
        if path is not None:
            return current_digest(path)
        return self._made[name] if name in self._made else value_digest(self._catalog.load(name))

    def before_reading(self, name: str) -> None:
        """Note what a node is about to read."""
        self._read[name] = self.digest_on_disk(name)

    def after_reading(self, name: str) -> None:
        """Raises DataError when a file changed while it was read."""
        if self.path(name) is not None and self.digest_on_disk(name) != self._read[name]:
            raise DataError(
                f"{self.path(name)} was changed while it was read; end what writes to it and run again with "
                "--only-missing-outputs."
            )

    def digest_as_read(self, node: Node) -> str:
        """The digest of what a node makes from what it has read."""
        return node_digest(node.func, {name: self._read[name] for name in node.inputs})

    def checkpoint(self, node: Node) -> Path | None:
        """Where a node that runs long leaves off: a hidden file beside its first output on disk."""
        paths = [path for name in node.outputs if (path := self.path(name)) is not None]
        return checkpoint_path(paths[0]) if paths else None

    def remove(self, name: str) -> None:
        """From here on the stamp of a dataset is not true any more: it is being written."""
        path = self.path(name)
        if path is not None:
            stamp_path(path).unlink(missing_ok=True)

    def write(self, name: str, node: Node) -> None:
        """Stamp a dataset that a node has just saved."""
        path, digest = self.path(name), self.digest_as_read(node)
        if path is None:
            self._made[name] = digest
        elif path.exists() and not self._has_other_parameters(node):
            inputs = {
                place: self._read[read] for read in node.inputs if (place := self.path(read)) is not None
            }
            write_stamp(path, digest, inputs, self._parameters(node))

    def _has_other_parameters(self, node: Node) -> bool:
        """Whether what a parameter names (a model's folder) changed while the node worked: then nobody knows what it
        was made from."""
        names = [name for name in node.inputs if self.path(name) is None]
        return any(self.digest_on_disk(name) != self._read[name] for name in names)


def dataset_path(dataset: object) -> Path | None:
    """Where a dataset, of this project or of Kedro's, lies on disk; None for one that lives in memory."""
    found = getattr(dataset, "path", None) or getattr(dataset, "_filepath", None)
    return Path(str(found)) if found else None


def stamp_path(artifact: Path) -> Path:
    """Where the stamp of an artifact lies: a hidden file beside it."""
    return artifact.with_name(f".{artifact.name}.stamp")


def checkpoint_path(artifact: Path) -> Path:
    """Where the checkpoint of the node that makes an artifact lies: a hidden file beside it."""
    return artifact.with_name(f".{artifact.name}.checkpoint")


def write_stamp(
    artifact: Path,
    digest: str,
    inputs: Mapping[Path, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> None:
    """Say that an artifact, as it is now, was made with a digest, from which files with which digests, and with which
    parameters (digests by name)."""
    content = {
        "digest": digest,
        "content": content_hash(artifact),
        "inputs": {os.path.relpath(path, artifact.parent): value for path, value in (inputs or {}).items()},
        "parameters": dict(parameters or {}),
    }
    with new_file(stamp_path(artifact)) as temporary:
        temporary.write_text(json.dumps(content))


def stamped_artifacts(folder: Path) -> list[Path]:
    """The files and folders of a folder that have a stamp."""
    names = (path.name.removeprefix(".").removesuffix(".stamp") for path in folder.glob(".*.stamp"))
    return sorted(folder / name for name in names if (folder / name).exists())


def read_inputs(artifact: Path) -> dict[Path, str]:
    """The files that an artifact was made from, with their digests; none where no stamp tells."""
    try:
        inputs = json.loads(stamp_path(artifact).read_text())["inputs"]
        return {
            Path(os.path.normpath(artifact.parent / name)): str(digest) for name, digest in inputs.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def current_digest(path: Path) -> str:
    """The digest that a file or folder was made with, or what tells it from others when nobody knows that."""
    return read_stamp(path) or (content_hash(path) if path.exists() else "missing")


def read_stamp(artifact: Path) -> str | None:
    """The digest an artifact was made with; None when it is missing, unstamped or was changed since."""
    try:
        stamp = json.loads(stamp_path(artifact).read_text())
        return str(stamp["digest"]) if stamp["content"] == content_hash(artifact) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _link(source: Path, target: Path) -> None:
    """Make a file the same as another. Artifacts are replaced, never written to, so neither spoils the other."""
    with new_file(target) as temporary:
        temporary.hardlink_to(source)


def read_parameters(artifact: Path) -> dict[str, str]:
    """Digests of the parameters an artifact was made with, by name; none where it or its stamp is missing."""
    if not artifact.exists():
        return {}
    try:
        return dict(json.loads(stamp_path(artifact).read_text())["parameters"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def node_digest(function: Any, inputs: Mapping[str, str]) -> str:
    """Digest of one node.

    Args:
        function: the node's function; all of its module counts, helpers included.
        inputs: digest of each input by name.

    Returns:
        64 hexadecimal digits.
    """
    source = inspect.getsourcefile(inspect.unwrap(function))
    code = Path(source).read_bytes() if source else b""
    content = [
        function.__qualname__,
        hashlib.sha256(code).hexdigest(),
        library_digest(),
        sorted(inputs.items()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def value_digest(value: Any) -> str:
    """Digest of a parameter. A text that names an existing file or folder counts with what lies there."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(plain, sort_keys=True, default=str)
    places = sorted({leaf for leaf in texts_of(plain) if _is_place(leaf)})
    content = [text, *(content_hash(Path(place).expanduser()) for place in places)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@cache
def library_digest() -> str:
    """Digest of the project's version and code, the folders of the stages apart."""
    root = Path(placid_kedro.__file__).parent
    digest = hashlib.sha256(placid_kedro.__version__.encode())
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] != "pipelines":
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def texts_of(value: Any) -> list[str]:
    """Every text in a tree of JSON values."""
    if isinstance(value, str):
        return [value]
    children = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else []
    )
    return [text for child in children for text in texts_of(child)]


def _is_place(text: str) -> bool:
    """Whether a text is a path of something that exists; a bare word is none, even if a folder has that
    name."""
    path = Path(text).expanduser()
    return (is_local(text) and path.exists()) or (path.suffix != "" and path.is_file())
