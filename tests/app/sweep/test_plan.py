"""Which objects a sweep makes, with which parameters, and what they share."""

from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import configure_project, pipelines

from placid_kedro.ablation.config import AblationParameters
from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.app.run_context import SessionSource
from placid_kedro.app.sweep.plan import Cell, executions, plan_cells
from placid_kedro.app.variants import variants_of
from placid_kedro.config.check import check_parameters

CONF = Path(__file__).parents[3] / "conf"
TABLE_1 = [
    "full",
    "without_latent_plane",
    "without_initialization",
    "without_personalization",
    "without_bsd",
]


def plan(env: str = "base", **ablation: Any) -> list[Cell]:
    configure_project("placid_kedro")
    loader = RunConfigLoader(
        str(CONF),
        env=env,
        base_env="base",
        default_run_env="local",
        runtime_params={"ablation": ablation},
        merge_strategy={"parameters": "soft", "globals": "soft"},
    )
    tree = loader["parameters"]
    parameters = AblationParameters.model_validate(tree["ablation"])
    return plan_cells(SessionSource(Path(), str(CONF), env, tree), parameters, pipelines["generate"])


@pytest.mark.parametrize("env", ["base", "paper"])
def test_the_default_sweep_is_table_1(env: str) -> None:
    cells = plan(env)
    assert len(cells) == 12 * 2 * 5
    assert [cell.variant for cell in cells[:5]] == TABLE_1
    assert len({(cell.variant, cell.prompt, cell.seed) for cell in cells}) == len(cells)
    full, plain, unplaced, unpersonal, unbalanced = (check_parameters(cell.parameters) for cell in cells[:5])
    # The paper's points are a generator's; without a network a grey cloud stands in their place.
    generated = "shap_e" if env == "paper" else "random"
    assert (plain.multiview.plane_preset, plain.init.source.kind, plain.lora.steps) == ("none", generated, 0)
    assert (unplaced.init.source.kind, unplaced.lora) == ("random", full.lora)
    assert (plain.init == unplaced.init) == (env == "base") and plain.bsd_3dgs == unplaced.bsd_3dgs
    assert (plain.init.points, plain.init.opacity) == (unplaced.init.points, unplaced.init.opacity)
    # The paper has one set of rates for all rows; 150 steps from a grey cloud need others than from a fitted start.
    assert (unplaced.bsd_3dgs == full.bsd_3dgs) == (env == "paper")
    # No row has more steps than another.
    assert unplaced.bsd_3dgs.steps == full.bsd_3dgs.steps
    assert (unpersonal.lora.steps, unpersonal.init) == (0, full.init)
    assert unbalanced.distillation.root.algorithm == "sds"
    assert full.distillation.root.algorithm == "bsd"
    assert {one.experiment for one in (full, plain)} == {"ablation/full", "ablation/without_latent_plane"}


@pytest.mark.parametrize("env", ["base", "paper"])
def test_variants_of_a_run_are_those_of_its_cells(env: str) -> None:
    cells = plan(env)[:5]
    (first, *_) = checked = [check_parameters(cell.parameters) for cell in cells]
    run = first.model_copy(update={"prompt": "another", "experiment": ""})
    assert variants_of(run) == checked


def test_every_known_variant_is_valid_and_has_an_effect() -> None:
    known = list(check_parameters(plan()[0].parameters).ablation.known_variants)
    cells = plan(variants=known, prompts=["a cat"], seeds=[0])
    assert {"csd", "vsd", "ism", "ssd", "nfsd", "vsd_mgda", "fixed_ratio"} <= set(known)
    distilled = {cell.variant: cell.keys["bsd_3dgs.distill_into_gaussians"] for cell in cells}
    # 25 is what BSD takes by itself.
    assert distilled["lam_25"] == distilled["full"]
    assert len(set(distilled.values())) == len(distilled) - 1


def test_what_is_shared_runs_once_and_comes_first() -> None:
    cells = plan(prompts=["a cat"], seeds=[0], variants=[*TABLE_1, "lam_25"])
    assert executions(cells, pipelines["generate"]) == {
        "prompt": 1,
        "reference": 1,
        "multiview": 2,
        # From the surface, and from a grey cloud beside each of the two sets of views.
        "init": 3,
        "lora": 3,
        "bsd_3dgs": 5,
        "t3bench_eval": 5,
        "viewer": 5,
    }
    first = cells[0]
    assert first.after == frozenset()
    assert all(first.index in cell.after for cell in cells[1:])
    assert all(before < cell.index for cell in cells for before in cell.after)


def test_prompts_and_seeds_share_nothing() -> None:
    cells = plan(prompts=["a cat", "a dog"], seeds=[0, 1], variants=["full"])
    assert all(not cell.after for cell in cells)
    assert set(executions(cells, pipelines["generate"]).values()) == {4}


def test_other_kinds_leave_nothing_of_the_old_one() -> None:
    variant = {"init": {"source": {"kind": "random"}}, "distillation": {"algorithm": "csd"}}
    (cell,) = plan(variants=["mine"], prompts=["a cat"], seeds=[3], known_variants={"mine": variant})
    assert cell.parameters["init"]["source"] == {"kind": "random"}
    assert cell.parameters["distillation"] == {"algorithm": "csd"}
    assert (cell.parameters["prompt"], cell.parameters["seed"]) == ("a cat", 3)
    assert cell.label == "mine / a-cat_seed3"
