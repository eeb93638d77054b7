"""Small object libraries, and the parameters of the stages."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
import yaml

from placid_kedro.objects.config import FilterParameters, IngestParameters, RenderParameters

REPOSITORY = Path(__file__).parents[2]
SHARED_OBJAVERSE = REPOSITORY.parent / "shared/data/objaverse"


def painted(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Two colours, half and half."""
    top = mesh.vertices[:, 1] > 0
    mesh.visual.vertex_colors = np.where(top[:, None], (200, 40, 40, 255), (40, 40, 200, 255)).astype(
        np.uint8
    )
    return mesh


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """A folder with two good objects."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    painted(trimesh.creation.icosphere(subdivisions=2)).export(folder / "ball.glb")
    painted(trimesh.creation.box((1, 2, 1))).export(folder / "tower.glb")
    return folder


@pytest.fixture
def parameters(tmp_path: Path) -> dict:
    """The groups of `conf/base/parameters_prepare.yml` with sizes for tests and places in a temporary folder."""
    text = (
        (REPOSITORY / "conf/base/parameters_prepare.yml")
        .read_text()
        .replace("${globals:data_root}", str(tmp_path))
    )
    groups = yaml.safe_load(text)
    groups["objaverse_ingest"] |= {"sources": "folder", "workers": 1}
    groups["objaverse_ingest"]["folder"]["folder"] = str(tmp_path / "meshes")
    groups["syncdreamer_render"]["protocol"] |= {
        "size": 32,
        "rings": [{"views": 4, "elevation_deg": [30.0, 30.0]}, {"views": 2, "elevation_deg": [-10.0, 40.0]}],
    }
    groups["syncdreamer_render"]["limits"] |= {"faces": 20000, "seconds": 300.0}
    groups["syncdreamer_render"]["cluster"]["workers"] = 1
    return groups


@pytest.fixture
def ingest_parameters(parameters: dict) -> IngestParameters:
    return IngestParameters.model_validate(parameters["objaverse_ingest"])


@pytest.fixture
def render_parameters(parameters: dict) -> RenderParameters:
    return RenderParameters.model_validate(parameters["syncdreamer_render"])


@pytest.fixture
def filter_parameters(parameters: dict) -> FilterParameters:
    return FilterParameters.model_validate(parameters["filter"])


@pytest.fixture
def objaverse_cache() -> Path:
    """A real cache with seven objects."""
    if not SHARED_OBJAVERSE.is_dir():
        pytest.skip(f"{SHARED_OBJAVERSE} is not there")
    return SHARED_OBJAVERSE
