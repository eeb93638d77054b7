"""Directional prompts: the prompt with the words that say from where the object is seen (Sec. 4.1)."""

from pydantic import BaseModel, ConfigDict

# Azimuth 0 is the front and angles grow counter-clockwise seen from above, so 90 degrees shows the object's
# own left.
VIEW_NAMES = ("front", "front left", "left", "back left", "back", "back right", "right", "front right")


class DirectionalPrompt(BaseModel):
    """A prompt for one viewing direction.

    Attributes:
        view: one of `VIEW_NAMES`.
        azimuth_deg: centre of the direction's sector, degrees in [0, 360).
        text: the full prompt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    view: str
    azimuth_deg: float
    text: str


class Prompts(BaseModel):
    """What the later stages need of the text.

    Attributes:
        text: the cleaned prompt.
        drawn: what the text-to-image model is asked for, the same in words that it knows.
        slug: folder name of the run.
        views: eight directional prompts of `drawn` in the order of `VIEW_NAMES`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    drawn: str
    slug: str
    views: tuple[DirectionalPrompt, ...]

    def at(self, azimuth_deg: float) -> DirectionalPrompt:
        """The directional prompt of the sector that an azimuth (degrees, any turn) lies in."""
        return self.views[sector(azimuth_deg)]


def sector(azimuth_deg: float) -> int:
    """Index in `VIEW_NAMES` of the 45-degree sector around an azimuth (degrees, any turn)."""
    width = 360.0 / len(VIEW_NAMES)
    return int((azimuth_deg % 360.0 + width / 2) // width) % len(VIEW_NAMES)


def view_name(azimuth_deg: float) -> str:
    """Words for an azimuth in degrees: `"front"` for 0, `"front left"` for 45, `"left"` for 90, ..."""
    return VIEW_NAMES[sector(azimuth_deg)]


def directional_prompts(prompt: str, template: str) -> tuple[DirectionalPrompt, ...]:
    """Build the eight directional prompts.

    Args:
        prompt: the cleaned prompt.
        template: text with the places `{prompt}` and `{view}`, the paper's is `"{prompt}, {view} view"`.

    Returns:
        One prompt for each of `VIEW_NAMES`, azimuths 0, 45, ..., 315 degrees.
    """
    width = 360.0 / len(VIEW_NAMES)
    return tuple(
        DirectionalPrompt(
            view=view,
            azimuth_deg=index * width,
            text=view_prompt(prompt, template, view),
        )
        for index, view in enumerate(VIEW_NAMES)
    )


def view_prompt(prompt: str, template: str, view: str) -> str:
    """The prompt in the words of a template for one view, such as `"overhead"`."""
    # replace, not format: a prompt may hold braces of its own
    return template.replace("{view}", view).replace("{prompt}", prompt)
