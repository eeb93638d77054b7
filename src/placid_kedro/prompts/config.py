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
    """

    max_characters: Annotated[int, Field(gt=0, le=10_000)]
    scripts: Names
    view_template: Annotated[str, Field(pattern=r"\{prompt\}.*\{view\}|\{view\}.*\{prompt\}"), _PLACES]
