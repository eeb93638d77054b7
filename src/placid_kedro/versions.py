"""Which versions a result was made with."""

from importlib.metadata import version

from placid_kedro import __version__

_PACKAGES = ("torch", "diffusers", "peft", "numba", "numpy", "gsplat", "kedro")


def package_versions() -> dict[str, str]:
    """Versions of this project and of the packages that decide a result, by name."""
    return {"placid_kedro": __version__, **{name: version(name) for name in _PACKAGES}}
