"""One self-contained HTML page that shows an object: splats to turn, what it was made from, how well it came out."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from placid_kedro.cameras import PosedViews
from placid_kedro.errors import DataError
from placid_kedro.evaluation.report import Report
from placid_kedro.splats import Gaussians, save_ply

MOST_GAUSSIANS = 100_000
"""More would make a page that browsers open slowly, and beyond what is easily sent around."""


_BESIDE = Template(
    """<aside>
<figure><img src="$reference" alt="reference image"><figcaption>reference</figcaption></figure>
<table>$facts</table>
</aside>"""
)
_BELOW = Template(
    """<h2>Views before 3D</h2>
<div class="strip">$views</div>
<h2>Optimisation</h2>
<label class="scrubber"><input id="scrubber" type="range" min="0" max="$last_frame" value="$last_frame"> \
<output id="moment"></output></label>
<div id="frames" class="strip">$frames</div>"""
)


@dataclass(frozen=True, eq=False)
class Moment:
    """The object at one moment of its optimisation.

    Attributes:
        name: what the scrubber says.
        image: [3, H, W] in [0, 1].
    """

    name: str
    image: Tensor


@dataclass(frozen=True)
class FirstLook:
    """The camera that the page opens with: from the front, looking at the origin.

    Attributes:
        elevation_deg: up from the horizon.
        distance: from the origin, world units.
        field_of_view_deg: full angle of the square image.
    """

    elevation_deg: float
    distance: float
    field_of_view_deg: float


def object_page(
    gaussians: Gaussians,
    reference: Tensor,
    views: PosedViews,
    moments: Sequence[Moment],
    report: Report,
    first_look: FirstLook,
) -> str:
    """The page of one object.

    Args:
        gaussians: the object, 1 to `MOST_GAUSSIANS`.
        reference: [3 or 4, H, W] in [0, 1].
        views: what the multi-view model made.
        moments: of the optimisation, the first one first, at least one.
        report: prompt, scores and times.
        first_look: the camera at the start.

    Raises:
        DataError: there are no Gaussians, too many, or no moments.
    """
    if not moments:
        raise DataError("The page of an object needs one picture of its optimisation at least.")
    angles = [f"{round(azimuth) % 360}°" for azimuth in views.azimuths_deg()]
    beside = _BESIDE.substitute(
        reference=_data_url(reference), facts="".join(_row(name, value) for name, value in facts(report))
    )
    below = _BELOW.substitute(
        views="".join(_figure(image, name) for image, name in zip(views.images, angles, strict=True)),
        frames="".join(_figure(moment.image, moment.name) for moment in moments),
        last_frame=str(len(moments) - 1),
    )
    return _page(gaussians, report.prompt, beside, below, first_look)


def splats_page(gaussians: Gaussians, title: str, first_look: FirstLook) -> str:
    """The page of splats that nothing else is known of: another program's, or a file on its way to somebody.

    Args:
        gaussians: 1 to `MOST_GAUSSIANS`.
        title: what they show.
        first_look: the camera at the start.

    Raises:
        DataError: there are no Gaussians, or too many.
    """
    return _page(gaussians, title, "", "", first_look)


def check_count(count: int) -> None:
    """Refuse a number of Gaussians that a page does not show.

    Raises:
        DataError: there are none, or more than `MOST_GAUSSIANS`.
    """
    if not 0 < count <= MOST_GAUSSIANS:
        raise DataError(
            f"The object holds {count} Gaussians, a page shows 1 to {MOST_GAUSSIANS}; "
            "open its .ply file in a splat viewer."
        )


def _page(gaussians: Gaussians, title: str, beside: str, below: str, first_look: FirstLook) -> str:
    """The page with what stands beside the splats and below them, as HTML."""
    check_count(len(gaussians))
    values = {
        "title": html.escape(title),
        "count": f"{len(gaussians):,}",
        "beside": beside,
        "below": below,
        "licences": html.escape(_asset("LICENSES.txt").decode()),
        "libraries": base64.b64encode(_asset("libraries.js.gz")).decode(),
        "splats": base64.b64encode(gzip.compress(_ply_bytes(gaussians), mtime=0)).decode(),
        "settings": json.dumps(vars(first_look)),
        "css": _asset("page.css").decode(),
        "processor": _asset("processor.js").decode(),
        "script": _asset("page.js").decode(),
    }
    return Template(_asset("page.html").decode()).substitute(values)


def facts(report: Report) -> list[tuple[str, str]]:
    """What the page's table says of an object, as names and values."""
    score, start = report.retrieval, report.retrieval_of_start
    rows = [
        ("rank of the prompt", f"{score.rank} of {score.of} names (before distillation {start.rank})"),
        ("similarity", f"{score.score:.3f} (before distillation {start.score:.3f})"),
        ("looks most like", ", ".join(name.name for name in score.best[:3])),
        ("algorithm", str(report.distillation.get("algorithm", ""))),
        ("seed", str(report.seed)),
        ("Gaussians", f"{report.gaussians:,}"),
    ]
    rows += [(f"time of {stage}", f"{seconds:.1f} s") for stage, seconds in report.stage_seconds.items()]
    rows += [(f"memory of {stage}", f"{mib:,.0f} MiB") for stage, mib in report.stage_peak_mib.items()]
    return [*rows, *((name, version) for name, version in report.versions.items())]


def _row(name: str, value: str) -> str:
    return f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"


def _figure(image: Tensor, name: str) -> str:
    text = html.escape(name)
    return (
        f'<figure data-moment="{text}"><img src="{_data_url(image)}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _data_url(image: Tensor) -> str:
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.numpy())).save(stream, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _ply_bytes(gaussians: Gaussians) -> bytes:
    """The Gaussians' file, without bands that they do not have."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gaussians.ply"
        save_ply(gaussians, path, sh_degree=gaussians.sh_degree)
        return path.read_bytes()


def _asset(name: str) -> bytes:
    return resources.files("placid_kedro.viewer").joinpath("assets", name).read_bytes()
