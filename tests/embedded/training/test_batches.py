"""What the text-to-image model is shown."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from placid_kedro.embedded.training.batches import TextToImageBatches
from placid_kedro.embedded.training.caption_table import CaptionTable, view_prior, views_by_sector
from placid_kedro.embedded.training.config import TextShares, ViewPrior
from placid_kedro.embedded.training.recipes import embedded_schedule

PRIOR = ViewPrior(front_share=0.5, other_front_share=0.15, oblique_deg=45.0, oblique_weight=2.0)
SHARES = TextShares(empty=0.2, view_words=0.3, painted=0.0, pure_noise_share=0.5, views=PRIOR)
AZIMUTHS = torch.tensor([0.0, 45, 90, 135, 180, 225, 270, 315, 0.0, 180])
OBJECTS = [("Ball", ["red"]), ("Tower", []), ("ball ", ["blue"])]

# "A ball" could be either: it is the last.
MEANT = {"ball": 2, "a ball": 2, "a red ball": 0, "tower": 1, "a tower": 1, "a blue ball": 2}


@pytest.fixture
def latents():
    return torch.randn(3, 10, 2, 2, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def source(latents):
    table = CaptionTable.of(OBJECTS)
    # A text's context is its own row number.
    contexts = torch.arange(len(table.texts())).float()[:, None, None].expand(-1, 2, 3)
    return TextToImageBatches(
        latents, AZIMUTHS, table, contexts, embedded_schedule(), SHARES, 8, torch.device("cpu")
    )


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_the_table_of_captions():
    table = CaptionTable.of(OBJECTS)
    assert table.by_name == ((0, 2), (1,))
    assert table.by_caption == MEANT
    assert table.by_object == (("a red ball",), ("tower", "a tower"), ("ball", "a ball", "a blue ball"))
    torch.testing.assert_close(table.log_prior.exp(), torch.tensor([0.25, 0.5, 0.25]))
    assert len(set(table.texts())) == len(table.texts()) == 1 + 9 * len(table.by_caption)


def test_an_object_without_a_caption_of_its_own_is_not_drawn():
    table = CaptionTable.of([("Ball", ["red"]), ("ball", ["red", "blue"])], [(0, "green"), (1, "green")])
    assert table.by_name == ((1,),) and table.by_object[0] == ()
    assert table.log_prior.tolist() == [-math.inf, 0]
    assert table.by_caption["a green ball"] == 3 and table.painted == ((), (3,))


def test_plain_captions_mostly_show_the_front():
    prior = view_prior(AZIMUTHS, PRIOR)
    assert float(prior.sum()) == pytest.approx(1)
    # 0.35 over the weights 2 (azimuths 0, 45, 315 and the other 0) and 1 (the six behind them).
    assert float(prior[0]) == pytest.approx(0.5 + 0.35 * 2 / 14)
    assert float(prior[8]) == pytest.approx(0.15 + 0.35 * 2 / 14)
    assert float(prior[1]) == pytest.approx(0.35 * 2 / 14)
    assert float(prior[4]) == pytest.approx(0.35 / 14)


def test_sectors_hold_their_views():
    sectors = views_by_sector(AZIMUTHS)
    assert [part.tolist() for part in sectors] == [[0, 8], [1], [2], [3], [4, 9], [5], [6], [7]]


def test_a_batch_is_a_function_of_its_generator(source):
    first, again, other = source(3, generator(1)), source(3, generator(1)), source(3, generator(2))
    for name in vars(first):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.x_t, other.x_t)


def test_kinds_of_captions_come_in_their_shares(source):
    texts = source.table.texts()
    kinds: Counter[str] = Counter()
    for seed in range(150):
        for row in source(seed, generator(seed)).context[:, 0, 0].long().tolist():
            kinds["empty" if row == 0 else "view" if " view" in texts[row] else "plain"] += 1
    total = sum(kinds.values())
    for kind, share in (("empty", 0.2), ("view", 0.3), ("plain", 0.5)):
        assert abs(kinds[kind] / total - share) < 4 * math.sqrt(share * (1 - share) / total)


def test_painted_objects_stand_for_their_colour_alone(latents):
    """The red ball in green, and the blue one in green and in red: brute force over what a caption may show."""
    named, paintings = OBJECTS, [(0, "green"), (2, "green"), (2, "red")]
    table = CaptionTable.of(named, paintings)
    # Of two that are painted green the last; what is red by itself comes before what is painted so.
    assert table.by_caption == MEANT | {"a green ball": 4}
    assert table.painted == ((), (), (4,))
    everything = torch.cat([latents, 5 + latents])
    contexts = torch.arange(len(table.texts())).float()[:, None, None].expand(-1, 2, 3)
    shares = SHARES.model_copy(update={"painted": 0.4})
    source = TextToImageBatches(
        everything, AZIMUTHS, table, contexts, embedded_schedule(), shares, 8, torch.device("cpu")
    )
    seen = Counter()
    for seed in range(60):
        batch = source(seed, generator(seed))
        for row in range(8):
            text = table.texts()[int(batch.context[row, 0, 0])].partition(", ")[0]
            seen[text] += 1
            if text == "a green ball":  # only painted objects, whose latents lie round 5
                assert float(batch.target[row].mean()) > 3
            if text in ("", "a tower", "a ball", "a red ball"):
                assert float(batch.target[row].mean()) < 2
    assert seen["a green ball"] > 10 and seen[""] > 10


def test_targets_are_posterior_means_of_what_the_caption_admits(source, latents):
    """Brute force in float64, with the weights by which batches are drawn written out."""
    texts, schedule = source.table.texts(), source.schedule
    prior = view_prior(AZIMUTHS, PRIOR).double()
    checked = Counter()
    for seed in range(12):
        batch = source(seed, generator(seed))
        for row in range(8):
            text = texts[int(batch.context[row, 0, 0])]
            weights = torch.zeros(3, 10, dtype=torch.float64)
            plain, _, words = text.partition(", ")
            facing = {"front": [0, 8], "back": [4, 9], "left": [2], "right": [6]}
            facing |= {"front left": [1], "back left": [3], "back right": [5], "front right": [7]}
            if not text:
                # 0.3 of 0.8 captions with words name one of eight sides, two of which show two views.
                sides = torch.tensor([2, 1, 1, 1, 2, 1, 1, 1, 2, 2]).double().reciprocal() / 8
                drawn = torch.tensor([0.25, 0.5, 0.25]).double()
                weights += drawn[:, None] * (0.375 * sides + 0.625 * prior)
            elif words:
                weights[MEANT[plain], facing[words.removesuffix(" view")]] = 1
            else:
                weights[MEANT[plain]] = prior
            checked["view" if ", " in text else "plain" if text else "empty"] += 1
            a, s = float(schedule.a(batch.t[row])), float(schedule.s(batch.t[row]))
            known = latents.double().flatten(0, 1).flatten(1)
            distance = (batch.x_t[row].double().flatten() - a * known).square().sum(dim=1)
            posterior = (weights.flatten().log() - distance / (2 * s * s)).softmax(dim=0)
            expected = (posterior @ known).reshape(2, 2, 2)
            torch.testing.assert_close(batch.target[row].double(), expected, rtol=2e-3, atol=2e-3)
    assert min(checked.values()) > 3 and len(checked) == 3


def test_sides_that_no_view_shows_are_not_asked_for(latents):
    """Views from the front and the back alone: no words speak of a left, and every view is drawn for its own side."""
    azimuths = torch.tensor([0.0, 180.0] * 5)
    table = CaptionTable.of(OBJECTS)
    contexts = torch.arange(len(table.texts())).float()[:, None, None].expand(-1, 2, 3)
    source = TextToImageBatches(
        latents, azimuths, table, contexts, embedded_schedule(), SHARES, 64, torch.device("cpu")
    )
    assert float(source.any_view.sum()) == pytest.approx(1)
    texts = [table.texts()[int(row)] for row in source(0, generator(0)).context[:, 0, 0]]
    sides = {text.partition(", ")[2] for text in texts if ", " in text}
    assert sides == {"front view", "back view"}
