"""The judge of T3Bench's alignment: a chat model merges the captions of an object's views and rates the result."""

from __future__ import annotations

import re
from dataclasses import dataclass

from placid_kedro.errors import EndpointError
from placid_kedro.evaluation.scorers.chat import ChatEndpoint, Messages
from placid_kedro.evaluation.t3bench.interfaces import HIGHEST_RATING, LOWEST_RATING, Rating

_MERGE = (
    "Below are captions of one 3D object, each of a picture from another side. Write a single short caption of the "
    "object that sums them up. Leave out its surroundings or background, what its surface is like, and its posture. "
    "Answer with that caption alone.\n\n{captions}"
)
_RATE = (
    "You grade how well a prediction recalls a prompt. Consider only how much of what the prompt says is found in the "
    "prediction; whatever the prediction says beyond the prompt must not lower the grade. Raise the grade where "
    "colours or other features that the prompt names are right in the prediction. Grades go from 1, the worst, to 5, "
    "the best. Answer with the bare number and nothing else, for example: 3\n\nPrompt: {prompt}\nPrediction: {caption}"
)
_AGAIN = "Answer with one whole number from 1 to 5 and nothing else."
# Phrases that name the scale, not a grade on it.
_SCALE = re.compile(
    r"(?:/|\bout of|\bof)\s*5(?:\.0)?\b|\b(?:from|between)?\s*1\s*(?:to|and|-|–)\s*5\b", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w]|\.\d)")


@dataclass(frozen=True)
class ChatJudge:
    """A chat model as T3Bench's judge."""

    endpoint: ChatEndpoint

    @property
    def name(self) -> str:
        """The model and where it is."""
        return f"{self.endpoint.model} at {self.endpoint.url}"

    @property
    def suffix(self) -> str:
        """A chat model is the protocol's own kind of judge."""
        return ""

    def merge(self, captions: list[str]) -> str:
        """One caption of the captions of an object's views, which are in the order of the views.

        Raises:
            EndpointError: see `ChatEndpoint.ask`.
        """
        listed = "\n".join(f"view {number}: {caption}" for number, caption in enumerate(captions, start=1))
        return without_quotes(self.endpoint.ask((("user", _MERGE.format(captions=listed)),)))

    def rate(self, prompt: str, caption: str) -> Rating:
        """How much of a prompt a caption recalls; an answer without a clear number is asked for once more.

        Raises:
            EndpointError: see `ChatEndpoint.ask`; also when the second answer has no clear number either.
        """
        # Not str.format twice: a prompt may hold braces of its own.
        question = _RATE.replace("{caption}", caption).replace("{prompt}", prompt)
        messages: Messages = (("user", question),)
        for _ in range(2):
            answer = self.endpoint.ask(messages)
            score = parse_rating(answer)
            if score is not None:
                return Rating(score, answer)
            messages = (*messages, ("assistant", answer), ("user", _AGAIN))
        raise EndpointError(
            f"The model '{self.endpoint.model}' answered {answer[:60]!r} where a number from 1 to 5 was asked for, "
            "twice; choose another model."
        )


def parse_rating(answer: str) -> int | None:
    """The one number from 1 to 5 in an answer, rounded half to even as the published script does; None without one.

    Prose around the number is left out, and so are words that name the scale ("4 out of 5").
    """
    numbers = {round(float(found)) for found in _NUMBER.findall(_SCALE.sub(" ", answer))}
    if len(numbers) != 1:
        return None
    (number,) = numbers
    return number if LOWEST_RATING <= number <= HIGHEST_RATING else None


def without_quotes(caption: str) -> str:
    """A caption without the full stop and the quotation marks round it."""
    text = " ".join(caption.split()).removesuffix(".")
    for mark in ('"', "'"):
        if len(text) > 1 and text.startswith(mark) and text.endswith(mark):
            text = text[1:-1]
    return text.removesuffix(".").strip()
