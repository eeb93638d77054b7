"""Which objects are worth training on: rules on captions, lists, image-text scores and the renders."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pandas as pd
from torch import Tensor

from placid_kedro.errors import ParameterError
from placid_kedro.images import over_white
from placid_kedro.objects.config import CaptionRule, FilterParameters, RenderRule, ScoreRule
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.objects.lists import read_lines, read_uids
from placid_kedro.objects.table import accepted, reject
from placid_kedro.progress import SILENT, Progress
from placid_kedro.rejections import Reason

# LGM's automatic rule on captions: these 36, anywhere in it, or four commas (github.com/ashawkey/objaverse_filter).
# fmt: off
LGM_STOP_WORDS = (
    "flying", "mountain", "trash", "featuring", "a set of", "a small", "numerous", "square",
    "collection", "broken", "group", "ceiling", "wall", "various", "elements", "splatter",
    "resembling", "landscape", "stair", "silhouette", "garbage", "debris", "room", "preview",
    "floor", "grass", "house", "beam", "white", "background", "building", "cube", "box", "frame",
    "roof", "structure",
)
# fmt: on

Rejections = dict[str, tuple[Reason, str]]


class ImageTextScorer(Protocol):
    """Tells how well images show what a text says."""

    def score(self, images: Tensor, text: str) -> float:
        """Score views of one object.

        Args:
            images: [N, 3, H, W] float32 in [0, 1], over white.
            text: what they should show.

        Returns:
            A number in the scorer's own unit; more is better.
        """


def filter_objects(
    table: pd.DataFrame,
    views_folder: Path,
    parameters: FilterParameters,
    scorer: ImageTextScorer | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Reject the objects that break a rule; the first rule that an object breaks is its reason.

    Args:
        table: of rendered objects.
        views_folder: with their views.
        parameters: the rules.
        scorer: for the rule on scores.
        progress: shows the scoring.

    Returns:
        The table with a column `score` (missing where nothing was scored); every object keeps its row.

    Raises:
        DataError: a list cannot be read.
        ParameterError: the rule on scores is enabled, but there is no scorer.
    """
    rules: list[Callable[[pd.DataFrame], Rejections]] = [
        lambda rows: list_rejections(rows, parameters.keep_list, parameters.reject_list),
        lambda rows: caption_rejections(rows, parameters.captions),
        lambda rows: render_rejections(rows, parameters.renders),
    ]
    for rule in rules:
        table = reject(table, rule(accepted(table)))
    scores: dict[str, float] = {}
    if parameters.score.enabled:
        if scorer is None:
            raise ParameterError("filter.score is enabled, but no scorer was given.")
        if not accepted(table).empty:
            scores, rejections = score_rejections(table, views_folder, parameters.score, scorer, progress)
            table = reject(table, rejections)
    result = table.copy()
    result["score"] = table["uid"].map(scores).astype("Float64")
    return result


def list_rejections(rows: pd.DataFrame, keep_list: str, reject_list: str) -> Rejections:
    """Objects that a list of uids excludes."""
    found: Rejections = {}
    if keep_list:
        kept = set(read_uids(keep_list))
        found |= {
            uid: (Reason.LISTED_OUT, "not on the list to keep") for uid in rows["uid"] if uid not in kept
        }
    if reject_list:
        out = set(read_uids(reject_list))
        found |= {uid: (Reason.LISTED_OUT, "on the list to reject") for uid in rows["uid"] if uid in out}
    return found


def caption_rejections(rows: pd.DataFrame, rule: CaptionRule) -> Rejections:
    """LGM's rule: a stop word anywhere in the caption, or too many commas."""
    if not rule.enabled:
        return {}
    words = read_lines(rule.stop_words) if rule.stop_words else LGM_STOP_WORDS
    pattern = re.compile("|".join(map(re.escape, words)) or r"(?!)", re.IGNORECASE)
    found: Rejections = {}
    for uid, caption in zip(rows["uid"], rows["caption"], strict=True):
        commas = caption.count(",")
        if match := pattern.search(caption):
            found[uid] = (Reason.STOP_WORD, f"the caption says {match[0]!r}")
        elif commas > rule.max_commas:
            found[uid] = (Reason.TOO_MANY_COMMAS, f"the caption has {commas} commas")
    return found


def render_rejections(rows: pd.DataFrame, rule: RenderRule) -> Rejections:
    """What the mesh and its renders tell, see `placid_kedro.objects.facts.ObjectFacts`."""
    found: Rejections = {}
    for row in rows.itertuples():
        if row.coverage < rule.coverage:
            found[row.uid] = (Reason.EMPTY_MASK, f"a view shows it on {row.coverage:.2%} of its pixels only")
        elif row.extent > 0.5 + rule.margin:
            found[row.uid] = (Reason.OUT_OF_CUBE, f"its surface reaches {row.extent:.3f} from the centre")
        elif row.faces < rule.faces:
            found[row.uid] = (Reason.TOO_FEW_FACES, f"it has {row.faces} faces only")
        elif rule.require_color and not row.is_colored:
            found[row.uid] = (Reason.NO_COLOR, "its file says nothing of colours")
        elif row.color_deviation < rule.color_deviation:
            found[row.uid] = (Reason.FLAT_COLOR, f"its colours deviate by {row.color_deviation:.4f} only")
    return found


def score_rejections(
    table: pd.DataFrame,
    views_folder: Path,
    rule: ScoreRule,
    scorer: ImageTextScorer,
    progress: Progress = SILENT,
) -> tuple[dict[str, float], Rejections]:
    """RichDreamer's rule: the image-text score of some views must reach a threshold.

    Returns:
        The scores by uid, and who falls short; an object without caption cannot be scored and does.
    """
    objects = RenderedObjects(table, views_folder)
    scores: dict[str, float] = {}
    found: Rejections = {}
    for index in progress.track(range(len(objects)), description="score"):
        uid, caption = objects.uids[index], objects.captions[index]
        if not caption:
            found[uid] = (Reason.NO_CAPTION, "it has no caption with which its views could be compared")
            continue
        seen = objects.read(index, evenly(objects.view_count(index), rule.views))
        scores[uid] = scorer.score(over_white(seen.rgba), caption)
        if not scores[uid] >= rule.minimum:
            found[uid] = (Reason.LOW_SCORE, f"its score is {scores[uid]:.4g}, below {rule.minimum:g}")
    return scores, found


def evenly(available: int, wanted: int) -> list[int]:
    """Indices of at most `wanted` of `available` views, at equal steps from the first on."""
    count = min(wanted, available)
    return [index * available // count for index in range(count)]
