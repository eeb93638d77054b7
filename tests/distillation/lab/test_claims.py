"""The answers to the paper's claims on numbers whose answer is known, and the page that tells them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from placid_kedro.distillation.balancing import balance
from placid_kedro.distillation.config import BSD, CSD, DistillationConfig, FixedRatio
from placid_kedro.distillation.lab.claims import claims, cosines_with_guidances
from placid_kedro.distillation.lab.experiment import LabRun
from placid_kedro.distillation.lab.page import BEGIN, END, fill, main, render
from placid_kedro.distillation.lab.plan import PlannedRun, plan_runs
from placid_kedro.distillation.lab.report import Claim, LabReport, LabRow, LabSetting, Measure
from placid_kedro.errors import DataError

PAGE = Path(__file__).parents[3] / "docs/distillation.md"
STEPS = 20


def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    """delta_CG and delta_SG of STEPS samples, at all angles, of unlike lengths."""
    drawn = torch.randn(2, STEPS, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return 0.05 * (drawn[0] - 0.7 * drawn[1]), drawn[1]


def run_of(algorithm, cg, sg, alpha=None, obtuse=None) -> LabRun:
    cosine = torch.cosine_similarity(cg.flatten(1), sg.flatten(1))
    if obtuse is not None:
        cosine = torch.where(torch.arange(STEPS) < obtuse * STEPS, -cosine.abs(), cosine.abs())
    history = {
        "norm_cg": cg.flatten(1).norm(dim=1)[:, None],
        "norm_sg": sg.flatten(1).norm(dim=1)[:, None],
        "cosine": cosine[:, None],
        "alpha": torch.full((STEPS, 1), torch.nan) if alpha is None else alpha[:, None],
    }
    ones = torch.ones(STEPS, dtype=torch.float64)
    return LabRun(algorithm, {}, history, ones, ones.cumsum(0), 0)


@pytest.mark.parametrize("lam", [5.0, 25.0])
def test_cosines_against_the_vectors_themselves(lam):
    cg, sg = vectors()
    alpha, direction = balance(cg, sg, lam)
    for run, step in (
        (run_of(BSD(lam=lam), cg, sg, alpha), direction),
        (run_of(FixedRatio(ratio=lam), cg, sg), lam * cg + sg),
    ):
        for guidance, measured in zip((cg, sg), cosines_with_guidances(run), strict=True):
            expected = torch.cosine_similarity(step.flatten(1), guidance.flatten(1))
            np.testing.assert_allclose(measured[:, 0], expected.numpy(), atol=1e-6)
    with pytest.raises(TypeError, match="csd"):
        cosines_with_guidances(run_of(CSD(), cg, sg))


NAMES = ("sds", "csd", "ism", "ssd", "vsd", "bsd")
PLAN = plan_runs({name: DistillationConfig(algorithm=name) for name in NAMES}, (5.0, 15.0, 35.0), (25.0,))
SATURATED = ("sds", "csd", "ism", "ssd", "bsd lam 5")


def row_of(run: PlannedRun, chroma: float, detail: float = 0.0, milliseconds: float = 100.0) -> LabRow:
    def around(mean: float) -> Measure:
        return Measure(mean=mean, low=mean - 1, high=mean + 1)

    return LabRow(
        label=run.label,
        experiment=run.experiment,
        value=run.value,
        steps=STEPS,
        forwards=2.0,
        seconds=3.0,
        step_milliseconds=milliseconds,
        skipped=0,
        measures={
            "chroma": around(20 + chroma),
            "chroma_excess": around(chroma),
            "detail_excess": around(detail),
        },
    )


def as_the_paper_says() -> dict[str, LabRow]:
    rows = {run.label: row_of(run, 5.0 if run.label in SATURATED else 0.0) for run in PLAN}
    rows["bsd lam 35"] = rows["bsd lam 35"].model_copy(
        update={
            "measures": {**rows["bsd lam 35"].measures, "detail_excess": Measure(mean=-5, low=-6, high=-4)}
        }
    )
    rows["ism"] = rows["ism"].model_copy(update={"step_milliseconds": 230.0})
    return rows


def runs_with(obtuse: float) -> dict[str, LabRun]:
    cg, sg = vectors()
    runs = {run.label: run_of(run.algorithm, cg, sg, obtuse=obtuse) for run in PLAN}
    for run in PLAN:
        if isinstance(run.algorithm, BSD):
            balanced = run_of(run.algorithm, cg, sg, balance(cg, sg, run.algorithm.lam)[0])
            runs[run.label] = balanced
    return runs


def answers(rows: dict[str, LabRow], obtuse: float = 0.5) -> dict[str, Claim]:
    given = claims(PLAN, runs_with(obtuse), list(rows.values()), np.random.default_rng(0))
    return {claim.key: claim for claim in given}


def test_all_claims_hold_where_all_is_as_the_paper_says():
    found = answers(as_the_paper_says())
    assert {key: claim.holds for key, claim in found.items()} == dict.fromkeys("abcde", True)
    assert "sds 50.0%" in found["a"].finding
    assert "1.000 times SDS, ISM 2.30 times BSD" in found["e"].finding


@pytest.mark.parametrize(
    ("key", "label", "change"),
    [
        ("c", "vsd", {"chroma": 5.0}),
        ("c", "ism", {"chroma": 0.5}),
        ("d", "bsd lam 5", {"chroma": 0.0}),
        ("d", "bsd lam 15", {"chroma": 4.0}),
        ("d", "bsd lam 35", {"chroma": 0.0, "detail": 0.0}),
        ("e", "bsd", {"chroma": 0.0, "milliseconds": 103.0}),
        ("e", "ism", {"chroma": 5.0, "milliseconds": 190.0}),
    ],
)
def test_one_number_that_differs_changes_one_answer(key, label, change):
    rows = as_the_paper_says()
    planned = next(run for run in PLAN if run.label == label)
    unchanged = {"milliseconds": rows[label].step_milliseconds}
    rows[label] = row_of(planned, **{**unchanged, **change})
    found = answers(rows)
    assert {name for name, claim in found.items() if claim.holds is not True} == {key}
    if key == "c":
        assert f"{label} " in found["c"].finding and "(not as the paper says)" in found["c"].finding


def test_few_obtuse_steps_and_steps_against_a_guidance_are_told():
    assert answers(as_the_paper_says(), obtuse=0.1)["a"].holds is False
    cg, sg = vectors()
    runs = runs_with(0.5)
    runs["bsd"] = run_of(BSD(), cg, sg, torch.full((STEPS,), 0.99, dtype=torch.float64))  # not the balance
    rows = list(as_the_paper_says().values())
    assert claims(PLAN, runs, rows, np.random.default_rng(0))[1].holds is False


def test_what_was_not_run_is_not_answered():
    plan = plan_runs({"csd": DistillationConfig(algorithm="csd")}, (15.0,), (25.0,))
    runs = {run.label: runs_with(0.5)["bsd lam 15" if run.experiment == "lam" else "csd"] for run in plan}
    cg, sg = vectors()
    runs["ratio 25"] = run_of(FixedRatio(), cg, sg)
    rows = [row_of(run, 0.0) for run in plan]
    found = {claim.key: claim.holds for claim in claims(plan, runs, rows, np.random.default_rng(0))}
    assert found["a"] is None and found["d"] is None and found["e"] is None


def test_a_single_sample_has_no_interval_and_no_answer():
    rows = as_the_paper_says()
    lonely = {name: Measure(mean=3.0, low=None, high=None) for name in rows["sds"].measures}
    rows["sds"] = rows["sds"].model_copy(update={"measures": lonely})
    assert answers(rows)["c"].holds is None


@pytest.fixture
def report() -> LabReport:
    setting = LabSetting(
        size="quick",
        model="./models/text_to_image",
        identity="0123456789abcdef",
        prompts=("a cactus", "a bed"),
        seeds=(0,),
        converged=10,
        over_trained=STEPS,
        swept="paper",
        learning_rate=0.06,
        truth_samples=4,
        truth_steps=50,
        truth_guidance_scale=4.0,
        device="cpu",
        threads=2,
        versions={"torch": "2"},
    )
    truth = LabRow(
        label="diffusion",
        experiment="truth",
        value=None,
        steps=None,
        forwards=None,
        seconds=None,
        step_milliseconds=None,
        skipped=None,
        measures={"chroma": Measure(mean=12.34, low=11.0, high=13.0)},
    )
    rows = (truth, *as_the_paper_says().values())
    return LabReport(
        setting=setting, algorithms={}, rows=rows, claims=tuple(answers(as_the_paper_says()).values())
    )


def test_the_page_holds_the_reports_numbers_and_nothing_of_an_older_one(report, tmp_path):
    page, path = tmp_path / "page.md", tmp_path / "report.json"
    page.write_text(PAGE.read_text())
    path.write_text(report.model_dump_json())
    main([str(path), str(page)])
    once = page.read_text()
    main([str(path), str(page)])
    assert page.read_text() == once
    before, after = PAGE.read_text().split(BEGIN)[0], PAGE.read_text().split(END)[1]
    assert once.startswith(before) and once.endswith(after)
    assert "| diffusion |  | 12.3 (11.0 to 13.0) |" in once
    assert "| ism | 20 | 25.0 (24.0 to 26.0) | 2 | 3.0 | 230 | 0 |" in once
    assert once.count("**Here it holds.**") == 5
    assert "Nothing was measured" not in once.split(BEGIN)[1].split(END)[0]


def test_the_page_says_what_cannot_be_told(report):
    untold = report.claims[0].model_copy(update={"holds": None})
    assert "**It cannot be told from this run.**" in render(report.model_copy(update={"claims": (untold,)}))


def test_a_page_without_marks_is_refused(report):
    with pytest.raises(DataError, match="no lines"):
        fill("# Some page", report)


def test_numbers_that_are_missing_survive_the_file(report):
    again = LabReport.model_validate_json(report.model_dump_json())
    assert again == report
    assert again.row("diffusion", None).seconds is None
    assert not any(math.isnan(row.measures["chroma"].mean) for row in again.rows)
