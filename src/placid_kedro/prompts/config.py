"""Parameters of the stage `prompt`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from placid_kedro.parameter_types import Names, ParameterModel, only_places

_PLACES = AfterValidator(only_places("prompt", "view"))


class PromptProcessorParameters(ParameterModel):
    """Stage `prompt`.

    Attributes:
        max_characters: longest prompt; the text encoder cuts what is too long where the view words stand.
        scripts: writing systems the text encoder reads, as Unicode's character names begin (`LATIN`).
        view_template: directional prompt with the places `{prompt}` and `{view}`.
        known_words: cosine from which other words mean a name that the text-to-image model knows, where it is bound to
            names; null leaves the words as they are.
    """

    max_characters: Annotated[int, Field(gt=0, le=10_000)]
    scripts: Names
    view_template: Annotated[str, Field(pattern=r"\{prompt\}.*\{view\}|\{view\}.*\{prompt\}"), _PLACES]
    known_words: Annotated[float, Field(gt=0, le=1)] | None
