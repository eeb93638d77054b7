"""Nodes as people name them: by their own name, with their stage's, or a whole stage at once."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from placid_kedro.errors import ParameterError


def stage_of(node: Node) -> str:
    """Name of the stage a node belongs to: its namespace."""
    return node.namespace or node.name


def full_names(names: Sequence[str], pipeline: Pipeline) -> list[str]:
    """The names that Kedro knows nodes by: `lora.personalise` for `personalise`, every node of a stage for `lora`.

    Raises:
        ParameterError: the pipeline has no such node or stage.
    """
    own: dict[str, list[str]] = {}
    for node in pipeline.nodes:
        for name in {node.name, node.name.rpartition(".")[2], stage_of(node)}:
            own.setdefault(name, []).append(node.name)
    found: list[str] = []
    for name in names:
        if name not in own:
            near = get_close_matches(name, own, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(own))}."
            raise ParameterError(f"The pipeline has no node or stage {name!r}; {hint}")
        found += own[name]
    return found
