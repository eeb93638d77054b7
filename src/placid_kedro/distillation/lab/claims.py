"""Do the paper's claims about Balanced Score Distillation (Sec. 4.3) hold in the laboratory?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from placid_kedro.distillation.config import (
    BSD,
    CSD,
    EQUATION_WEIGHTINGS,
    ISM,
    SDS,
    SSD,
    VSD,
    Algorithm,
    FixedRatio,
)
from placid_kedro.distillation.lab.experiment import LabRun
from placid_kedro.distillation.lab.metrics import mean_interval
from placid_kedro.distillation.lab.plan import PlannedRun
from placid_kedro.distillation.lab.report import Claim, LabRow

_OBTUSE_SHARE = 0.30
_LAM_TOO_SMALL, _LAM_BALANCED, _LAM_TOO_LARGE = 5.0, (15.0, 25.0), 35.0
_BSD_COST, _ISM_COST = 1.02, 2.0
# Of a cosine of two directions that float32 left rounded.
_ROUNDING = 1e-3


def claims(
    plan: Sequence[PlannedRun],
    runs: Mapping[str, LabRun],
    rows: Sequence[LabRow],
    generator: np.random.Generator,
) -> tuple[Claim, ...]:
    """Answers to the claims (a) to (e), judged on the over-trained results.

    plan: of all runs; runs: by label; rows: the table; generator: for the bootstrap.
    """
    last = {row.label: row for row in _last_rows(rows)}
    compared = [run for run in plan if run.experiment == "comparison"]
    return (
        _obtuse_steps(compared, runs, generator),
        _never_against(plan, runs),
        _over_saturation(compared, last),
        _lam(plan, last),
        _cost(compared, last),
    )


def cosines_with_guidances(run: LabRun) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of a step's direction with delta_CG and with delta_SG, each float64 [steps,B].

    For BSD as in Eq. 22, whatever w, and for fixed ratios, whose directions are sums of the two guidances.
    """
    norm_cg, norm_sg, cosine = (
        run.history[name].double().numpy() for name in ("norm_cg", "norm_sg", "cosine")
    )
    match run.algorithm:
        case BSD(preset=preset, lam=lam) if preset in EQUATION_WEIGHTINGS:
            alpha = run.history["alpha"].double().numpy()
            cg, sg = alpha * lam * norm_cg, (1 - alpha) * norm_sg
        case FixedRatio(ratio=ratio):
            cg, sg = ratio * norm_cg, norm_sg
        case _:
            raise TypeError(f"{run.algorithm.algorithm} is no sum of the two guidances alone")
    length = np.sqrt(np.maximum(cg**2 + sg**2 + 2 * cosine * cg * sg, 1e-30))
    return (cg + cosine * sg) / length, (cosine * cg + sg) / length


def _obtuse_steps(
    compared: Sequence[PlannedRun], runs: Mapping[str, LabRun], generator: np.random.Generator
) -> Claim:
    statement = "The two guidances point against each other (negative product) in over 30% of the steps."
    shares = {
        run.label: mean_interval(_obtuse(runs[run.label]), generator)
        for run in compared
        if isinstance(run.algorithm, SDS) or _as_written(run.algorithm)
    }
    if not shares:
        return _untold("a", statement, "neither SDS nor BSD is compared")
    told = "; ".join(
        f"{label} {share.mean:.1%} (interval {share.low:.1%} to {share.high:.1%})"
        for label, share in shares.items()
    )
    everyone = np.concatenate([_obtuse(runs[run.label]) for run in compared])
    return Claim(
        key="a",
        statement=statement,
        holds=all(share.mean > _OBTUSE_SHARE for share in shares.values()),
        finding=f"Share of obtuse steps: {told}. Over all algorithms: {everyone.mean():.1%}.",
    )


def _as_written(algorithm: Algorithm) -> bool:
    """Whether this is Eq. 22 with the paper's w, not one of the variants."""
    return isinstance(algorithm, BSD) and algorithm.preset == "paper"


def _obtuse(run: LabRun) -> np.ndarray:
    return run.obtuse_share(len(run.forwards)).double().numpy()


def _never_against(plan: Sequence[PlannedRun], runs: Mapping[str, LabRun]) -> Claim:
    statement = "No step of BSD goes against either guidance."
    smallest: dict[str, float] = {}
    fixed: list[str] = []
    for run in plan:
        if isinstance(run.algorithm, BSD) and run.algorithm.preset in EQUATION_WEIGHTINGS:
            smallest[run.label] = float(
                min(np.nanmin(each) for each in cosines_with_guidances(runs[run.label]))
            )
        elif isinstance(run.algorithm, FixedRatio):
            with_cg, with_sg = cosines_with_guidances(runs[run.label])
            fixed.append(f"{run.label} {np.mean((with_cg < 0) | (with_sg < 0)):.1%}")
    if not smallest:
        return _untold("b", statement, "BSD with the preset paper is not run")
    finding = f"The smallest cosine of any BSD step with either guidance is {min(smallest.values()):.4f}."
    if fixed:
        finding += f" Steps that go against one of them at a fixed ratio: {'; '.join(fixed)}."
    holds = min(smallest.values()) > -_ROUNDING
    return Claim(key="b", statement=statement, holds=holds, finding=finding)


def _over_saturation(compared: Sequence[PlannedRun], last: Mapping[str, LabRow]) -> Claim:
    statement = "Over-trained, SDS, CSD, ISM and SSD over-saturate; BSD and VSD do not."
    expected = {run.label: over for run in compared if (over := _expected(run.algorithm)) is not None}
    found = {label: _above(last[label], "chroma") for label in expected}
    told = "; ".join(
        f"{label} {_signed(last[label], 'chroma')}{'' if found[label] == over else ' (not as the paper says)'}"
        for label, over in expected.items()
    )
    holds = None if not found or None in found.values() else found == expected
    return Claim(
        key="c",
        statement=statement,
        holds=holds,
        finding=f"Chroma less that of ordinary diffusion with the same prompt, with its interval: {told}.",
    )


def _expected(algorithm: Algorithm) -> bool | None:
    """Whether the paper says that an algorithm over-saturates; None where it says nothing."""
    if isinstance(algorithm, SDS | CSD | ISM | SSD):
        return True
    return False if isinstance(algorithm, BSD | VSD) else None


def _lam(plan: Sequence[PlannedRun], last: Mapping[str, LabRow]) -> Claim:
    statement = "BSD with lam 5 over-saturates, 15 to 25 is balanced, 35 loses detail."
    rows = {run.value: last[run.label] for run in plan if run.experiment == "lam" and run.value is not None}
    balanced = [row for value, row in rows.items() if _LAM_BALANCED[0] <= value <= _LAM_BALANCED[1]]
    told = "; ".join(
        f"lam {value:g}: chroma {_signed(row, 'chroma')}, detail {_signed(row, 'detail')}"
        for value, row in sorted(rows.items())
    )
    holds = None
    if balanced and _LAM_TOO_SMALL in rows and _LAM_TOO_LARGE in rows:
        answers = [_above(rows[_LAM_TOO_SMALL], "chroma"), _below(rows[_LAM_TOO_LARGE], "detail")]
        answers += [_not(_above(row, "chroma")) for row in balanced]
        holds = None if None in answers else all(answers)
    return Claim(key="d", statement=statement, holds=holds, finding=f"Less ordinary diffusion: {told}.")


def _cost(compared: Sequence[PlannedRun], last: Mapping[str, LabRow]) -> Claim:
    statement = "A step of BSD costs what one of SDS does; one of ISM costs at least twice as much."
    times: dict[str, float] = {}
    for run in compared:
        milliseconds = last[run.label].step_milliseconds
        if isinstance(run.algorithm, SDS | BSD | ISM) and milliseconds is not None:
            times.setdefault(run.algorithm.algorithm, milliseconds)
    if not {"sds", "bsd", "ism"} <= set(times):
        return _untold("e", statement, "SDS, BSD and ISM are not all compared")
    bsd, ism = times["bsd"] / times["sds"], times["ism"] / times["bsd"]
    return Claim(
        key="e",
        statement=statement,
        holds=bsd <= _BSD_COST and ism >= _ISM_COST,
        finding=(
            f"Median times of a step: BSD {bsd:.3f} times SDS, ISM {ism:.2f} times BSD. The runs follow one "
            "another here; benchmarks/distillation_cost.py interleaves them."
        ),
    )


def _last_rows(rows: Sequence[LabRow]) -> list[LabRow]:
    steps = max(row.steps for row in rows if row.steps is not None)
    return [row for row in rows if row.steps == steps]


def _above(row: LabRow, name: str) -> bool | None:
    """Whether the whole interval of a measure's excess over ordinary diffusion is above 0."""
    low = row.measures[f"{name}_excess"].low
    return None if low is None else low > 0


def _below(row: LabRow, name: str) -> bool | None:
    high = row.measures[f"{name}_excess"].high
    return None if high is None else high < 0


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _signed(row: LabRow, name: str) -> str:
    measure = row.measures[f"{name}_excess"]
    if measure.low is None or measure.high is None:
        return f"{measure.mean:+.2f}"
    return f"{measure.mean:+.2f} ({measure.low:+.2f} to {measure.high:+.2f})"


def _untold(key: str, statement: str, why: str) -> Claim:
    return Claim(key=key, statement=statement, holds=None, finding=f"Not measured: {why}.")
