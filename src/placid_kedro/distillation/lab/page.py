"""Fills the page docs/distillation.md with the numbers of a run of the laboratory.

python -m placid_kedro.distillation.lab.page data/08_reporting/distill_2d/report.json docs/distillation.md
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from placid_kedro.distillation.lab.report import Claim, LabReport, LabRow, LabSetting
from placid_kedro.errors import DataError
from placid_kedro.files import new_file

BEGIN = "<!-- begin: written by placid_kedro.distillation.lab.page -->"
END = "<!-- end -->"

_MEASURES = {"saturation": 3, "chroma": 1, "detail": 2, "score": 3, "obtuse": 2}
_ANSWERS = {True: "holds", False: "does not hold", None: "cannot be told from this run"}


def fill(page: str, report: LabReport) -> str:
    """The page with a report's text between the two marks.

    Raises:
        DataError: the page has no such marks.
    """
    before, mark, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise DataError(f"The page has no lines '{BEGIN}' and '{END}'; put them where the numbers belong.")
    return f"{before}{BEGIN}\n\n{render(report)}\n{END}{after}"


def render(report: LabReport) -> str:
    """Setting, answers and tables of a report as Markdown."""
    setting = report.setting
    compared = [row for row in report.rows if row.experiment in ("truth", "comparison")]
    swept = [
        row for row in report.rows if row.experiment in ("lam", "ratio") and row.steps == setting.over_trained
    ]
    parts = [
        _setting(setting),
        *(_claim(claim) for claim in report.claims),
        "### All algorithms\n",
        f"After {setting.converged} steps (converged) and {setting.over_trained} (over-trained).\n",
        _table(compared),
        "### lam of BSD, and fixed ratios without balancing\n",
        f"After {setting.over_trained} steps, all with the weighting of BSD's preset `{setting.swept}`.\n",
        _table(swept),
    ]
    return "\n".join(parts)


def _setting(setting: LabSetting) -> str:
    prompts = ", ".join(f'"{prompt}"' for prompt in setting.prompts)
    count = len(setting.prompts) * len(setting.seeds)
    versions = ", ".join(f"{name} {version}" for name, version in setting.versions.items())
    return (
        f"Size `{setting.size}`: {count} samples of the prompts {prompts} with the seeds "
        f"{', '.join(map(str, setting.seeds))}; model `{setting.model}` ({setting.identity}); Adam at "
        f"{setting.learning_rate:g}; ground truth: {setting.truth_samples} samples of DDIM, "
        f"{setting.truth_steps} steps, guidance scale {setting.truth_guidance_scale:g}; {setting.device}, "
        f"{setting.threads} threads; {versions}.\n"
    )


def _claim(claim: Claim) -> str:
    return (
        f"### ({claim.key}) {claim.statement}\n\n**Here it {_ANSWERS[claim.holds]}.** {claim.finding}\n"
        if claim.holds is not None
        else f"### ({claim.key}) {claim.statement}\n\n**It {_ANSWERS[None]}.** {claim.finding}\n"
    )


def _table(rows: Sequence[LabRow]) -> str:
    names = [name for name in _MEASURES if any(name in row.measures for row in rows)]
    heads = ["run", "steps", *names, "forwards", "seconds", "ms a step", "skipped"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [row.label, _number(row.steps, 0), *(_measure(row, name) for name in names)]
        cells += [_number(row.forwards, 0), _number(row.seconds, 1), _number(row.step_milliseconds, 0)]
        lines.append("| " + " | ".join([*cells, _number(row.skipped, 0)]) + " |")
    return "\n".join(lines) + "\n"


def _measure(row: LabRow, name: str) -> str:
    """`12.3 (11.0 to 14.1)`."""
    measure, digits = row.measures.get(name), _MEASURES[name]
    if measure is None:
        return ""
    if measure.low is None or measure.high is None:
        return f"{measure.mean:.{digits}f}"
    return f"{measure.mean:.{digits}f} ({measure.low:.{digits}f} to {measure.high:.{digits}f})"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite the page with the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("report", type=Path, help="report.json of a run of distill_2d")
    parser.add_argument("page", type=Path, help="the Markdown page")
    parsed = parser.parse_args(arguments)
    report = LabReport.model_validate_json(parsed.report.read_bytes())
    text = fill(parsed.page.read_text(encoding="utf-8"), report)
    with new_file(parsed.page) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
