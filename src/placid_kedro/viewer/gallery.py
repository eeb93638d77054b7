"""One page over a folder of finished objects, each with its picture, its scores and the way to its own page.

    python -m placid_kedro.viewer.gallery data/08_reporting

writes `data/08_reporting/gallery.html`, with the objects of experiments and sweeps.
"""

from __future__ import annotations

import argparse
import html
import sys
from pathlib import Path
from string import Template
from urllib.parse import quote

from pydantic import ValidationError

from placid_kedro.errors import DataError, PlacidError
from placid_kedro.evaluation.report import Report
from placid_kedro.files import new_file

PAGE, REPORT, PICTURE = "viewer.html", "report.json", "reference.png"

_DOCUMENT = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Objects</title>
<style>
body { margin: 16px auto; max-width: 1040px; font: 15px/1.5 system-ui, sans-serif; color: #222; background: #f4f4f2; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 16px; }
a { color: inherit; text-decoration: none; background: #fff; border: 1px solid #ddd; padding: 8px; }
img { width: 100%; }
p { margin: 4px 0 0; font-size: 13px; color: #666; }
</style>
</head>
<body>
<h1>$count objects</h1>
<main>
$cards
</main>
</body>
</html>
""")


def gallery_page(folder: Path) -> str:
    """The page over every folder under `folder` that holds an object's page and report, by prompt, seed and place.

    Links and pictures are relative to `folder`, where the page belongs.

    Raises:
        DataError: the folder is missing, holds no object, or a report is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; give the one that holds the objects' folders.")
    places = sorted(page.parent for page in folder.glob(f"*/**/{PAGE}"))
    found = [(_report(place), place.relative_to(folder).as_posix()) for place in places]
    if not found:
        raise DataError(f"{folder} holds no object's {PAGE}; make one with `kedro run --pipeline generate`.")
    found.sort(key=lambda item: (item[0].prompt, item[0].seed, item[1]))
    cards = "\n".join(_card(report, name) for report, name in found)
    return _DOCUMENT.substitute(count=str(len(found)), cards=cards)


def _report(folder: Path) -> Report:
    path = folder / REPORT
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"{path} is missing or damaged; run `generate` for that prompt again.") from error


def _card(report: Report, name: str) -> str:
    place, experiment = quote(name), name.rpartition("/")[0]
    algorithm, score = report.distillation.get("algorithm", ""), report.retrieval
    facts = [
        *filter(None, [experiment]),
        f"seed {report.seed}",
        algorithm,
        f"rank {score.rank} of {score.of}",
    ]
    return (
        f'<a href="{place}/{PAGE}"><img src="{place}/{PICTURE}" alt="" loading="lazy">'
        f"<b>{html.escape(report.prompt)}</b><p>{html.escape(', '.join(map(str, facts)))}</p></a>"
    )


def main() -> None:
    """Write the page of the folder that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    try:
        text = gallery_page(folder)
    except PlacidError as error:
        sys.exit(str(error))
    with new_file(folder / "gallery.html") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(folder / "gallery.html")


if __name__ == "__main__":
    main()
