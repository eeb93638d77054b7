"""MVDream (Shi et al. 2023): a text-to-image model that draws four views of an object together."""

from placid_kedro.diffusion.mvdream.model import MVDream, four_views, load_mvdream

__all__ = ["MVDream", "four_views", "load_mvdream"]
