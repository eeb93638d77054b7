"""Zero-1-to-3's published checkpoints, in the layout of CompVis's latent diffusion, into model folders."""

from placid_kedro.diffusion.compvis.zero123 import Zero123Folder, import_zero123

__all__ = ["Zero123Folder", "import_zero123"]
