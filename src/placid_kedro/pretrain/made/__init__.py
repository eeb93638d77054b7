"""Objects made by chance from a seed: what a small network learns of legs, bars and boards before real objects end."""

from placid_kedro.pretrain.made.objects import make_object

__all__ = ["make_object"]
