"""Objects made by chance, one a seed: more tables, lamps and plants to learn shapes from than the libraries have."""

from placid_kedro.embedded.made.files import write_made
from placid_kedro.embedded.made.objects import KINDS, kind_of, make_object

__all__ = ["KINDS", "kind_of", "make_object", "write_made"]
