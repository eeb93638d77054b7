"""What a sweep runs: its cells, their parameters, and which of them wait for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kedro.pipeline import Pipeline
from pydantic import BaseModel

from placid_kedro.ablation.config import AblationParameters
from placid_kedro.app.node_names import stage_of
from placid_kedro.app.run_context import SessionSource
from placid_kedro.app.variants import checked_variant, variant_tree
from placid_kedro.config import Parameters
from placid_kedro.files import digest_of
from placid_kedro.prompts import run_slug


@dataclass(frozen=True)
class Cell:
    """One object of a sweep.

    Attributes:
        index: in the sweep.
        variant, prompt, seed: what it is.
        parameters: the whole tree, as the configuration would hold it.
        keys: by name of a node, a text that cells share which need the same execution of it.
        after: the cells that come before this one, because they make what it shares with them.
    """

    index: int
    variant: str
    prompt: str
    seed: int
    parameters: dict[str, Any]
    keys: dict[str, str]
    after: frozenset[int]

    @property
    def label(self) -> str:
        """`full / a-teddy-bear`."""
        return f"{self.variant} / {run_slug(self.prompt, self.seed)}"


def plan_cells(source: SessionSource, ablation: AblationParameters, pipeline: Pipeline) -> list[Cell]:
    """All cells of a sweep, variant after variant for each prompt and seed.

    Args:
        source: of the sweep's own session; its parameters are what the variants change.
        ablation: which cells.
        pipeline: that each cell runs.

    Raises:
        ParameterError: a variant changes a parameter that there is not, or that is not a variant's to change.
        PlacidError: a prompt or a variant's point cloud cannot be used.
    """
    cells: list[Cell] = []
    first_with: dict[str, int] = {}
    for seed in ablation.seeds:
        for prompt in ablation.prompts:
            for variant in ablation.variants:
                tree = variant_tree(source.parameters, ablation, variant, prompt, seed)
                keys = node_keys(pipeline, checked_variant(tree, variant))
                index = len(cells)
                after = frozenset(
                    first for key in keys.values() if (first := first_with.setdefault(key, index)) != index
                )
                cells.append(Cell(index, variant, prompt, seed, tree, keys, after))
    return cells


def executions(cells: list[Cell], pipeline: Pipeline) -> dict[str, int]:
    """How often each stage has to run, by its name: once for all cells that share it."""
    counts: dict[str, int] = {}
    for node in pipeline.nodes:
        distinct = len({cell.keys[node.name] for cell in cells})
        counts[stage_of(node)] = max(counts.get(stage_of(node), 0), distinct)
    return counts


def node_keys(pipeline: Pipeline, parameters: Parameters) -> dict[str, str]:
    """A key for each node, made of the parameters that it and the nodes before it take."""
    by_output: dict[str, str] = {}
    keys: dict[str, str] = {}
    for node in pipeline.nodes:
        inputs = [[name, by_output.get(name) or _given(parameters, name)] for name in node.inputs]
        keys[node.name] = digest_of(node.name, inputs)
        by_output |= dict.fromkeys(node.outputs, keys[node.name])
    return keys


def _given(parameters: Parameters, name: str) -> Any:
    """The value of a parameter; any other dataset (credentials) is the same for all cells."""
    if not name.startswith("params:"):
        return None
    value: Any = parameters
    for part in name.removeprefix("params:").split("."):
        value = getattr(value, part)
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
