"""`prepare` through a session: from a folder of meshes to a training set."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import trimesh
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from PIL import Image

from placid_kedro.errors import DataError, ModelError, ParameterError, ResourceError
from placid_kedro.files import file_hash
from placid_kedro.objects.dataset import RenderedObjects
from tools.model_folders import write_clip

SHARED_OBJAVERSE = Path(__file__).parents[3] / "shared/data/objaverse"
STAGES = ("objaverse_ingest", "syncdreamer_render", "filter")
SMALL = {"protocol": {"size": 48}, "limits": {"seconds": 300.0, "faces": 200000}}


def run(create: Callable[..., KedroSession], name: str = "prepare", **parameters: Any) -> None:
    with create(**parameters) as kedro_session:
        kedro_session.run(pipeline_names=[name])


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """Three objects that render; one is grey all over, one's name is a stop word; and one that is broken."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    for name in ("ball", "broken-vase", "grey"):
        ball = trimesh.creation.icosphere(subdivisions=2)
        if name != "grey":
            top = ball.vertices[:, 1:2] > 0
            ball.visual.vertex_colors = np.where(top, (200, 40, 40, 255), (40, 40, 200, 255)).astype(np.uint8)
        ball.export(folder / f"{name}.glb")
    (folder / "half.glb").write_bytes((folder / "ball.glb").read_bytes()[:500])
    return folder


def test_prepare_is_its_stages() -> None:
    names = {node.name for stage in STAGES for node in pipelines[stage].nodes}
    assert {node.name for node in pipelines["prepare"].nodes} >= names


def test_from_meshes_to_a_training_set(
    session: Callable[..., KedroSession], tmp_path: Path, meshes: Path
) -> None:
    run(session)
    root = tmp_path / "data/test"
    objects = RenderedObjects.open(root / "05_model_input/training_set")
    assert objects.uids == ("ball",)
    assert objects[0].rgba.shape == (10, 4, 32, 32)
    assert objects[0].mask.mean() > 0.1
    figure = json.loads((root / "08_reporting/prepare/objects_by_reason.json").read_text())
    assert dict(zip(figure["data"][0]["y"], figure["data"][0]["x"], strict=True)) == {
        "accepted": 1,
        "no_color": 1,
        "stop_word": 1,
        "truncated": 1,
    }
    manifest = json.loads((root / "05_model_input/training_set/manifest.json").read_text())
    assert manifest["files"]["objects.parquet"]["sha256"] == file_hash(
        root / "05_model_input/training_set/objects.parquet"
    )
    # The filter alone, with another rule, on what is rendered.
    run(session, "filter", filter={"renders": {"require_color": False, "color_deviation": 0.0}})
    assert RenderedObjects.open(root / "05_model_input/training_set").uids == ("ball", "grey")


def test_the_embedded_scorer_filters(
    session: Callable[..., KedroSession], tmp_path: Path, meshes: Path
) -> None:
    from placid_kedro.embedded.networks.scorer import load_scorer
    from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder

    (meshes / "grey.glb").unlink()
    for name in ("ball", "broken-vase"):  # two captions for the same object
        (meshes / f"{name}.glb").write_bytes((meshes / "ball.glb").read_bytes())
    captions = {"enabled": False}
    run(session, filter={"captions": captions, "score": {"enabled": True, "minimum": -1.0, "views": 5}})
    training_set = tmp_path / "data/test/05_model_input/training_set"
    table = pd.read_parquet(training_set / "objects.parquet").set_index("uid")
    objects, scorer = RenderedObjects.open(training_set), load_scorer(tmp_path / "models/scorer")
    expected = []
    for index, name in enumerate(("ball", "broken vase")):
        views = objects.read(index, [0, 2, 4, 6, 8]).rgba  # of the second ring each object has its own
        with torch.no_grad():
            images = scorer.embed_images(views[:, :3] * views[:, 3:] + 1 - views[:, 3:]).double()
            text = scorer.embed_texts(MiniLMTextEncoder().sentence_embeddings([name])).double()
        expected.append(float((images * text).sum(dim=-1).mean()))
    scores = table.loc[["ball", "broken-vase"], "score"].to_numpy(float)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    # A minimum between the two rejects the worse.
    between = float(scores.mean())
    run(
        session,
        "filter",
        filter={"captions": captions, "score": {"enabled": True, "minimum": between, "views": 5}},
    )
    better = table.index[table["score"].argmax()]
    assert RenderedObjects.open(training_set).uids == (better,)
    reasons = pd.read_parquet(training_set / "objects.parquet")["reason"].value_counts()
    assert reasons["low_score"] == 1
    clip_filters(session, tmp_path, captions)


def clip_filters(session: Callable[..., KedroSession], folder: Path, captions: dict[str, bool]) -> None:
    """RichDreamer's rule with a CLIP, on what is rendered; the cosines are transformers' own."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    clip = write_clip(folder / "clip")
    rule = {"enabled": True, "kind": "clip", "scorer": str(clip), "minimum": -1.0, "views": 5}
    run(session, "filter", filter={"captions": captions, "score": rule})
    training_set = folder / "data/test/05_model_input/training_set"
    table = pd.read_parquet(training_set / "objects.parquet").set_index("uid")
    model, tokenizer = CLIPModel.from_pretrained(clip).eval(), CLIPTokenizer.from_pretrained(clip)
    processor = CLIPImageProcessor(do_resize=False, do_center_crop=False, do_rescale=False)
    objects = RenderedObjects.open(training_set)
    for index, (uid, name) in enumerate((("ball", "ball"), ("broken-vase", "broken vase"))):
        views = objects.read(index, [0, 2, 4, 6, 8]).rgba
        images = views[:, :3] * views[:, 3:] + 1 - views[:, 3:]
        pixels = processor([image.numpy() for image in images], return_tensors="pt").pixel_values
        with torch.no_grad():
            outputs = model(pixel_values=pixels, **tokenizer([name], return_tensors="pt"))
        cosines = outputs.logits_per_image / model.logit_scale.exp()
        assert float(table.loc[uid, "score"]) == pytest.approx(float(cosines.detach().mean()), abs=1e-5)


def glb(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    """A GLB file of one mesh without colours."""
    points, indices = vertices.astype("<f4").tobytes(), faces.astype("<u4").tobytes()
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(vertices), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": faces.size, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(points)},
            {"buffer": 0, "byteOffset": len(points), "byteLength": len(indices)},
        ],
        "buffers": [{"byteLength": len(points) + len(indices)}],
    }
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text
    body += struct.pack("<I4s", len(points) + len(indices), b"BIN\0") + points + indices
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


BAD_FILES = {
    "cut.glb": "truncated",
    "empty.glb": "truncated",
    "bomb.glb": "unreadable",
    "text.glb": "unreadable",
    "nan.glb": "not_finite",
    "climbing.obj": "path_outside",
    "million.glb": "too_many_faces",
    "points.obj": "no_faces",
}


@pytest.fixture
def bad_meshes(tmp_path: Path) -> Path:
    """One good object, `BAD_FILES`, and a csv that has bad rows, too."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    corners, triangle = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([0, 1, 2])
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.visual.vertex_colors = np.where(ball.vertices[:, :1] > 0, (200, 40, 40, 255), (40, 40, 200, 255))
    ball.export(folder / "ball.glb")
    (folder / "cut.glb").write_bytes((folder / "ball.glb").read_bytes()[:-100])
    (folder / "empty.glb").touch()
    with zipfile.ZipFile(folder / "bomb.glb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**24))
    (folder / "text.glb").write_text("this is no mesh")
    (folder / "nan.glb").write_bytes(glb(corners * np.nan, triangle))
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    (folder / "climbing.mtl").write_text("newmtl m\nmap_Kd ../secret.png\n")
    (folder / "climbing.obj").write_text(
        "mtllib climbing.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    (folder / "million.glb").write_bytes(glb(corners, np.tile(triangle, 1_000_000)))
    (folder / "points.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    rows = ["file,uid,caption", "ball.glb,ball,a ball", "ball.glb,../../ball,a ball", "ball.glb,ball,again"]
    rows += ["ball.glb,long,a red, round ball", "../secret.png,secret,a secret", "none.glb,none,nothing"]
    rows += [f"{name},{Path(name).stem},{name}" for name in BAD_FILES]
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_bad_input_costs_itself_only_and_two_runs_agree(
    session_in: Callable[..., KedroSession],
    tmp_path: Path,
    bad_meshes: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    sources = {"folder": {"folder": str(bad_meshes), "captions": str(tmp_path / "captions.csv")}}
    roots = [tmp_path / "first", tmp_path / "second"]
    for root in roots:
        root.mkdir()
        monkeypatch.chdir(root)  # where the views go is taken from the working folder
        tracking = {"enabled": root == roots[0]}
        with session_in(root, objaverse_ingest=sources, tracking=tracking) as kedro_session:
            kedro_session.run(pipeline_names=list(STAGES))
    counts = {
        "accepted": 1,
        "bad_row": 1,
        "bad_uid": 1,
        "duplicate_uid": 1,
        "missing_file": 1,
        "no_faces": 1,
        "not_finite": 1,
        "path_outside": 2,
        "too_many_faces": 1,
        "truncated": 2,
        "unreadable": 2,
    }
    assert "1 of 14 objects are accepted; rejected: 2 " in caplog.text
    (run_record,) = MlflowClient(f"sqlite:///{roots[0] / 'mlflow.db'}").search_runs(["1"])
    metrics = run_record.data.metrics
    assert {name.removeprefix("filter/"): metrics[name] for name in metrics if "filter/" in name} == counts
    table = pd.read_parquet(roots[0] / "data/test/05_model_input/training_set/objects.parquet")
    assert dict(table["reason"].value_counts()) == {
        "" if name == "accepted" else name: n for name, n in counts.items()
    }
    by_uid = table.set_index("uid")["reason"]
    assert {name: by_uid[Path(name).stem] for name in BAD_FILES} == BAD_FILES
    assert table.loc[table["reason"] != "", "detail"].str.len().min() > 10
    first, second = (hashes(root / "data/test/05_model_input") for root in roots)
    assert first == second
    assert {"training_set/objects.parquet", "training_set/README.md"} <= set(first)
    assert sum(name.endswith(".zip") for name in first) == 1


def hashes(folder: Path) -> dict[str, str]:
    """Of every file but the stamps, which tell how the run went."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files}


def test_the_shared_objaverse_cache(session: Callable[..., KedroSession], tmp_path: Path) -> None:
    if not SHARED_OBJAVERSE.is_dir():
        pytest.skip(f"{SHARED_OBJAVERSE} is not there")
    run(
        session,
        objaverse_ingest={"sources": "objaverse", "objaverse": {"cache": str(SHARED_OBJAVERSE)}},
        syncdreamer_render=SMALL,
    )
    objects = RenderedObjects.open(tmp_path / "data/test/05_model_input/training_set")
    assert len(objects) == 6  # one of the seven says nothing of colours
    assert all(objects[index].mask.amax() == 1 for index in range(6))


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        (
            {"objaverse_ingest": {"sources": "shapenet"}},
            ParameterError,
            "'objaverse_ingest.sources' is 'shapenet'",
        ),
        (
            {"objaverse_ingest": {"sources": "sweethome3d", "sweethome3d": {"folder": "none"}}},
            DataError,
            "sweethome3d",
        ),
        ({"objaverse_ingest": {"folder": {"folder": "none"}}}, DataError, "does not exist"),
        ({"syncdreamer_render": {"renderer": "blender"}}, ResourceError, "make blender"),
        ({"filter": {"score": {"enabled": True, "scorer": "./none"}}}, ModelError, "filter.score.scorer"),
        ({"syncdreamer_render": {"protocol": {"size": 0}}}, ParameterError, "size' is 0"),
    ],
)
def test_bad_input_is_one_sentence(
    session: Callable[..., KedroSession],
    meshes: Path,
    parameters: dict[str, Any],
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as raised:
        run(session, **parameters)
    assert "\n" not in str(raised.value)
