"""Where a prompt stands among other names, against ranks counted by hand."""

import pytest
import torch

from placid_kedro.errors import ParameterError
from placid_kedro.evaluation import rank_of_prompt

SIMILARITIES = {
    "a cat": (0.5, 0.1),
    "dog": (0.9, 0.1),
    "cow": (0.2, 0.3),
    "hen": (0.1, 0.2),
    "cat": (0.99, 0.99),
    "pig": (0.3, 0.3),
}


class Table:
    """Similarities of two images from a table."""

    def similarities(self, images: torch.Tensor, texts: list[str]) -> torch.Tensor:
        return torch.tensor([SIMILARITIES[text] for text in texts]).T


IMAGES = torch.zeros(2, 3, 8, 8)


def test_rank_by_the_mean_over_the_images() -> None:
    # Means: prompt 0.3, dog 0.5, pig 0.3, cow 0.25, hen 0.15. Only the dog is better; a draw is not.
    result = rank_of_prompt(Table(), IMAGES, "a cat", ["cow", "dog", "hen", "pig", "dog"], shown=2)
    assert (result.rank, result.of) == (2, 5)
    assert result.score == pytest.approx(0.3)
    assert [score for _, score in result.best] == pytest.approx([0.5, 0.3])
    assert result.best[0][0] == "dog" and result.best[1][0] in ("a cat", "pig")


def test_the_prompts_own_name_does_not_compete_with_it() -> None:
    result = rank_of_prompt(Table(), IMAGES, "a cat", ["cat", "dog", "hen"])
    assert (result.rank, result.of) == (2, 3)
    assert "cat" not in [name for name, _ in result.best]
    assert len(result.best) == 3


@pytest.mark.parametrize("names", [[], ["a cat"], ["cat", "The Cat", "CAT"]])
def test_nothing_to_compare_with(names: list[str]) -> None:
    with pytest.raises(ParameterError, match="at least one name beside the prompt"):
        rank_of_prompt(Table(), IMAGES, "a cat", names)
