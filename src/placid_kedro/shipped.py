"""What a wheel brings besides its code: the configuration and the embedded models, which `setup.py` puts there."""

from pathlib import Path


def shipped(name: str) -> Path | None:
    """The folder `conf` or `models` of an installed wheel; None where the code lies in its project."""
    folder = Path(__file__).with_name("shipped") / name
    return folder if folder.is_dir() else None
