"""The stand-ins: their arithmetic against numbers by hand, their colours and similarities against plain cases."""

import pytest
import torch

from placid_kedro.embedded.networks.scorer import ImageScorer
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.embedded.stand_ins.captions import NOTHING, RetrievedCaptions, color_name
from placid_kedro.embedded.stand_ins.image_scorer import EmbeddedImageScorer
from placid_kedro.embedded.stand_ins.judge import SimilarityJudge
from placid_kedro.errors import ModelError

NAMES = ("teddy bear", "cactus", "upright piano", "desk lamp")


@pytest.fixture(scope="module")
def scorer() -> ImageScorer:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return ImageScorer(image_size=32, channels=(8, 16), embedding=8).eval()


def test_rewards_are_standard_deviations_above_the_known_names(scorer: ImageScorer) -> None:
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    rewards = EmbeddedImageScorer(scorer, NAMES).rewards(images, "a cactus")
    encoder = MiniLMTextEncoder()
    with torch.no_grad():
        seen = scorer.embed_images(images).double()
        known, own = (
            scorer.embed_texts(encoder.sentence_embeddings(t)).double() for t in (list(NAMES), ["a cactus"])
        )
    for image, reward in zip(seen, rewards, strict=True):
        cosines = [float(image @ name) for name in known]
        mean = sum(cosines) / 4
        deviation = (sum((cosine - mean) ** 2 for cosine in cosines) / 3) ** 0.5
        assert float(reward) == pytest.approx((float(image @ own[0]) - mean) / deviation, abs=1e-3)


def test_similarities_are_the_scorers_and_each_text_is_read_once(
    scorer: ImageScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    texts = ["a cactus", *NAMES, "a cactus"]
    expected = scorer.similarities(images, texts)
    stand_in = EmbeddedImageScorer(scorer, NAMES)
    read: list[str] = []
    plain = MiniLMTextEncoder.sentence_embeddings
    monkeypatch.setattr(
        MiniLMTextEncoder,
        "sentence_embeddings",
        lambda self, prompts: read.extend(prompts) or plain(self, prompts),
    )
    torch.testing.assert_close(stand_in.similarities(images, texts), expected, rtol=0, atol=1e-5)
    stand_in.rewards(images, "a cactus")
    assert read == ["a cactus"]


def test_one_name_is_too_few(scorer: ImageScorer) -> None:
    with pytest.raises(ModelError, match="at least two known names"):
        EmbeddedImageScorer(scorer, NAMES[:1])


@pytest.mark.parametrize(
    ("rgb", "color"),
    [
        ((0.8, 0.1, 0.1), "red"),
        ((0.1, 0.1, 0.1), "black"),
        ((0.15, 0.3, 0.75), "blue"),
        ((0.4, 0.26, 0.15), "brown"),
    ],
)
def test_the_colour_of_a_square_over_white(rgb: tuple[float, ...], color: str) -> None:
    image = torch.ones(3, 40, 40)
    image[:, 10:30, 10:30] = torch.tensor(rgb)[:, None, None]
    # A fifth of the square is yellow: the most frequent colour counts.
    image[:, 10:14, 10:30] = torch.tensor([0.95, 0.85, 0.2])[:, None, None]
    assert color_name(image) == color


def test_an_empty_image_shows_nothing(scorer: ImageScorer) -> None:
    images = torch.ones(2, 3, 32, 32)
    images[1, :, 8:24, 8:24] = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    empty, red = RetrievedCaptions(EmbeddedImageScorer(scorer, NAMES)).captions(images, seed=0)
    assert empty == NOTHING
    assert red.startswith("a red ") and red.removeprefix("a red ") in NAMES


def test_the_caption_of_most_views_wins() -> None:
    captions = ["a red chair", "a brown bear", "a brown bear", "a blue piano", "a brown bear"]
    assert SimilarityJudge().merge(captions) == "a brown bear"


def test_the_same_words_get_five_and_unlike_ones_less() -> None:
    judge = SimilarityJudge()
    assert judge.rate("a teddy bear", "a teddy bear").score == 5
    ratings = [
        judge.rate("a teddy bear", other).score for other in ("a brown teddy bear", "a bear", "a gray truck")
    ]
    assert ratings == sorted(ratings, reverse=True) and ratings[-1] <= 2 < ratings[0]
    assert judge.rate("a teddy bear", "a bear").answer.startswith("cosine 0.")
