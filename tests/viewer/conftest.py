"""A small object and everything that its page shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.evaluation.report import RankedName, Report, RetrievalScore
from placid_kedro.splats import Gaussians, render
from placid_kedro.viewer.page import FirstLook, Moment, object_page

FIRST_LOOK = FirstLook(elevation_deg=20.0, distance=1.5, field_of_view_deg=49.13)


def coloured_gaussians(count: int = 400) -> Gaussians:
    """A lop-sided cloud whose colour tells its six sides."""
    draw = torch.Generator().manual_seed(5)
    points = torch.randn(count, 3, generator=draw)
    points = 0.35 * points / points.norm(dim=1, keepdim=True) * torch.tensor([1.0, 0.7, 0.5])
    points = points + torch.tensor([0.05, 0.1, 0.0])
    return Gaussians.from_points(points, (points + 0.5).clamp(0, 1), opacity=0.8)


@dataclass(frozen=True)
class Shown:
    """What `object_page` takes."""

    gaussians: Gaussians
    report: Report

    def page(self) -> str:
        cameras = ring(4, 20.0, 1.5, 49.13, 32)
        with torch.no_grad():
            images = render(coloured_gaussians(), cameras, torch.ones(3)).rgb.clamp(0, 1)
        moments = [Moment(f"step {step}", images[step]) for step in range(3)]
        return object_page(
            self.gaussians, images[0], PosedViews(images, cameras), moments, self.report, FIRST_LOOK
        )

    def named(self, prompt: str) -> Shown:
        return replace(self, report=self.report.model_copy(update={"prompt": prompt}))


@pytest.fixture
def shown() -> Shown:
    score = RetrievalScore(rank=2, of=113, score=0.75, best=(RankedName(name="a <hat>", score=0.8),))
    report = Report(
        scorers={"quality": "embedded"},
        scores={"quality_embedded": 51.0},
        caption=None,
        missing=False,
        truth="teddy-bear",
        geometry=None,
        prompt="a teddy bear",
        slug="a-teddy-bear",
        seed=3,
        versions={"torch": "2.13.0"},
        threads=2,
        models={},
        distillation={"algorithm": "bsd"},
        stage_seconds={"reference": 4.25},
        gaussians=400,
        skipped_samples=0,
        skipped_steps=0,
        retrieval=score,
        retrieval_of_start=score,
    )
    return Shown(coloured_gaussians(), report)
