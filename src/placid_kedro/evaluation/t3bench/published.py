"""The paper's Table 1 (T3Bench, 100 prompts of single objects) beside what was measured here."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TABLE_1 = Path(__file__).with_name("table1.csv")


def published_rows() -> pd.DataFrame:
    """Columns `row`, `quality`, `alignment`, `average`, as published."""
    return pd.read_csv(TABLE_1)


def beside_published(means: dict[str, float], name: str, objects: int) -> str:
    """A Markdown table of the published rows and of one that was measured.

    A stand-in's number gets a column of its own: it must not be read against the published ones.

    Args:
        means: mean scores by name: `quality`, `alignment`, or with a suffix those of other scorers.
        name: of the measured row.
        objects: how many were measured.
    """
    published = published_rows()
    others = [key for key in means if key not in published and "_raw" not in key and "_rating" not in key]
    columns = ["quality", "alignment", "average", *others]
    measured = dict(means)
    if {"quality", "alignment"} <= means.keys():
        measured["average"] = (means["quality"] + means["alignment"]) / 2
    lines = [f"| | {' | '.join(columns)} | |", "|---" * (len(columns) + 2) + "|"]
    rows = [
        ({str(key): value for key, value in row.items()}, "published") for row in published.to_dict("records")
    ]
    rows.append(({"row": name, **measured}, f"measured, {objects} objects"))
    for row, source in rows:
        cells = [f"{row[column]:.1f}" if column in row else "" for column in columns]
        lines.append(f"| {row['row']} | {' | '.join(cells)} | {source} |")
    return "\n".join(lines) + "\n"
