"""glTF files that are damaged, and each one's reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import load_mesh
from tests.rendering.gltf_case import skin


def damaged_mode(file: Any) -> None:
    file.primitive["mode"] = 9


def damaged_lengths(file: Any) -> None:
    file.attribute("COLOR_0", np.ones((3, 3), "<f4"))


def damaged_indices(file: Any) -> None:
    file.primitive["indices"] = file.accessor(np.zeros(6, "<f4"))


def damaged_sparse(file: Any) -> None:
    view = file.view(np.array([4], "<u2").tobytes())
    values = file.view(bytes(12))
    file.tree["accessors"][0]["sparse"] = {
        "count": 1, "indices": {"bufferView": view, "componentType": 5123}, "values": {"bufferView": values},
    }  # fmt: skip


def damaged_joint(file: Any) -> None:
    skin(file)
    file.attribute("WEIGHTS_0", np.ones((4, 4), "<f4"))
    file.attribute("JOINTS_0", np.full((4, 4), 2, "<u1"))


def joint_outside(file: Any) -> None:
    skin(file)
    file.attribute("WEIGHTS_0", np.ones((4, 4), "<f4"))
    file.tree["scenes"] = [{"nodes": [0]}]


def long_view(file: Any) -> None:
    file.tree["bufferViews"][0]["byteLength"] = 10**6


def long_accessor(file: Any) -> None:
    file.tree["accessors"][0]["count"] = 5


def negative_offset(file: Any) -> None:
    file.tree["bufferViews"][0]["byteOffset"] = -4


def short_stride(file: Any) -> None:
    file.tree["bufferViews"][0]["byteStride"] = 4


def skin_with_instances(file: Any) -> None:
    skin(file)
    file.attribute("WEIGHTS_0", np.ones((4, 4), "<f4"))
    file.tree["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": {}}}


def negative_material(file: Any) -> None:
    file.material(doubleSided=True)
    file.primitive["material"] = -1


def negative_mesh(file: Any) -> None:
    file.tree["nodes"][0]["mesh"] = -1


def colors_that_are_no_numbers(file: Any) -> None:
    file.attribute("COLOR_0", np.full((4, 3), np.nan, "<f4"))


def json_that_is_none(file: Any) -> None:
    file.tree["nodes"][0]["translation"] = [float("nan"), 0, 0]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damaged_mode, Reason.UNREADABLE),
        (damaged_lengths, Reason.UNREADABLE),
        (damaged_indices, Reason.UNREADABLE),
        (damaged_sparse, Reason.UNREADABLE),
        (damaged_joint, Reason.UNREADABLE),
        (joint_outside, Reason.UNREADABLE),
        (long_view, Reason.TRUNCATED),
        (long_accessor, Reason.TRUNCATED),
        (negative_offset, Reason.TRUNCATED),
        (short_stride, Reason.TRUNCATED),
        (skin_with_instances, Reason.UNKNOWN_FORMAT),
        (negative_material, Reason.UNREADABLE),
        (negative_mesh, Reason.UNREADABLE),
        (colors_that_are_no_numbers, Reason.NOT_FINITE),
        (json_that_is_none, Reason.UNREADABLE),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, new_gltf: Any, damage: Any, reason: Reason) -> None:
    file = new_gltf()
    damage(file)
    with pytest.raises(RejectedAsset) as raised:
        load_mesh(file.write(tmp_path))
    assert raised.value.reason is reason
    assert "\n" not in str(raised.value)
