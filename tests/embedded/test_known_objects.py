"""Furniture by the names that the embedded models have learned, from libraries made here."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from placid_kedro.embedded.known_objects import KnownFurniture
from placid_kedro.errors import DataError

# Two of the three objects that the list calls a chair, and its only teddy bear.
MODELS = {"BlendSwap-CC-0": ("teddyBear", "chair2")}
BROWN = (120, 70, 35)
CATALOG = "id=test\nlicense=CC-0\n"


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    for library, names in MODELS.items():
        with zipfile.ZipFile(tmp_path / f"{library}.sh3f", "w") as archive:
            entries = [
                f"name#{number}={name}\nmodel#{number}=/{name}/{name}.obj\n"
                for number, name in enumerate(names, 1)
            ]
            archive.writestr("PluginFurnitureCatalog.properties", CATALOG + "".join(entries))
            for name in names:
                box = trimesh.creation.box((1, 2, 3))
                box.visual.vertex_colors = np.tile([*BROWN, 255], (len(box.vertices), 1))
                archive.writestr(f"{name}/{name}.obj", box.export(file_type="obj"))
    return tmp_path


@pytest.mark.parametrize("prompt", ["a teddy bear", "Teddy bear", "the teddy bear"])
def test_a_name_with_and_without_article_means_its_object(libraries: Path, prompt: str) -> None:
    (meant,) = KnownFurniture(str(libraries)).meant_by(prompt).items()
    assert meant[0] == "BlendSwap-CC-0-teddyBear"
    # Of points on all six sides: those of the box.
    extent = np.ptp(meant[1].points, axis=0)
    # A library's y is the world's z; the longest edge becomes 1.
    np.testing.assert_allclose(sorted(extent), [1 / 3, 2 / 3, 1], atol=1e-6)
    assert extent[2] == pytest.approx(2 / 3)


@pytest.mark.parametrize("prompt", ["a blue teddy bear", "Blue teddy bear"])
def test_a_colour_that_it_has_not_means_the_painted_object(libraries: Path, prompt: str) -> None:
    known = KnownFurniture(str(libraries))
    (plain,) = known.meant_by("a brown teddy bear").values()
    (meant,) = known.meant_by(prompt).items()
    assert meant[0] == "BlendSwap-CC-0-teddyBear, painted blue"
    torch.testing.assert_close(meant[1].alphas, plain.alphas)
    inside = plain.alphas == 1
    red, _, blue = meant[1].images.movedim(1, 0)[:, inside].mean(dim=1).tolist()
    assert blue > 2 * red
    red, _, blue = plain.images.movedim(1, 0)[:, inside].mean(dim=1).tolist()
    assert red > 2 * blue


def test_what_is_missing_is_one_sentence(libraries: Path, tmp_path: Path) -> None:
    known = KnownFurniture(str(libraries))
    with pytest.raises(DataError, match="know no object by the name 'a unicorn'"):
        known.meant_by("a unicorn")
    with pytest.raises(DataError, match="lacks the object"):
        known.meant_by("a chair")
    with pytest.raises(DataError, match="install the Debian package sweethome3d-furniture"):
        KnownFurniture(str(tmp_path / "nowhere")).meant_by("a teddy bear")
