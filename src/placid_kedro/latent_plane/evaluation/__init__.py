"""How the plane's equations are calculated."""
