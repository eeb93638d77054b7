# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders objects with Blender's Cycles (4.2 and later). A program of its own: it imports `bpy`, which is under the
GPL, and shares nothing with the package but the lines of JSON on its standard input and output.

    python tools/blender_render.py            with a Python that has bpy
    blender --background --python tools/blender_render.py

A job names a mesh file, an output folder, the image's size, and cameras (Blender's `matrix_world` and the focal
length in pixels). The object is centred, its longest side scaled to 1, and its front (+z of a y-up file) turned to
+x. For each view the folder gets `rgba_NNN.png` and `depth_NNN.npy` (planar depth; 1e10 where there is nothing).
"""

import json
import sys
import traceback
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

PREFIX = "placid "
# SyncDreamer's uniform light: a grey world.
WORLD_COLOR = (0.5, 0.5, 0.5, 1.0)
WORLD_STRENGTH = 2.0
IMPORTERS = {
    ".glb": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".gltf": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".obj": lambda path: bpy.ops.wm.obj_import(filepath=path, forward_axis="NEGATIVE_Z", up_axis="Y"),
}


def reset(job):
    """An empty scene with a grey world and Cycles set up."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("grey")
    scene.world.use_nodes = True
    background = scene.world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = WORLD_COLOR
    background.inputs["Strength"].default_value = WORLD_STRENGTH
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = job["width"], job["height"]
    scene.render.resolution_percentage = 100
    scene.render.film_transparent = True
    scene.render.use_persistent_data = True
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 1 if job["device"] == "CPU" else 4
    scene.view_settings.view_transform = "Standard"
    scene.cycles.samples = job["samples"]
    scene.cycles.use_denoising = job["denoise"]
    scene.cycles.seed = 0
    scene.cycles.device = "CPU"
    if job["device"] != "CPU":
        preferences = bpy.context.preferences.addons["cycles"].preferences
        preferences.compute_device_type = job["device"]
        preferences.get_devices()
        for device in preferences.devices:
            device.use = device.type == job["device"]
        scene.cycles.device = "GPU"
    return scene


def load(path):
    """Import the file into the unit cube, its front at +x."""
    IMPORTERS[Path(path).suffix.lower()](path)
    bpy.context.view_layer.update()
    corners = []
    graph = bpy.context.evaluated_depsgraph_get()
    for thing in bpy.context.scene.objects:
        # What an importer hides is no part of the object: the glTF importer's shapes for bones.
        if thing.type == "MESH" and thing.visible_get():
            mesh = thing.evaluated_get(graph).to_mesh()
            points = np.empty(3 * len(mesh.vertices), np.float32)
            mesh.vertices.foreach_get("co", points)
            world = np.array(thing.matrix_world)
            corners.append(points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])
        elif thing.type in {"CAMERA", "LIGHT"}:
            thing.hide_render = True
    points = np.concatenate(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    # Blender's importers turn y-up files so that their front looks along -y.
    placed = (
        Matrix.Rotation(np.pi / 2, 4, "Z")
        @ Matrix.Scale(1 / float((high - low).max()), 4)
        @ Matrix.Translation(-Vector((low + high) / 2))
    )
    for thing in bpy.context.scene.objects:
        if thing.parent is None:
            thing.matrix_world = placed @ thing.matrix_world
    bpy.context.view_layer.update()


def add_depth_output(scene, folder):
    """Planar depth of each frame as an EXR file."""
    scene.view_layers[0].use_pass_z = True
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    composite = tree.nodes.new("CompositorNodeComposite")
    files = tree.nodes.new("CompositorNodeOutputFile")
    files.base_path = folder
    files.format.file_format = "OPEN_EXR"
    files.format.color_depth = "32"
    files.file_slots[0].path = "depth_"
    tree.links.new(layers.outputs["Image"], composite.inputs["Image"])
    tree.links.new(layers.outputs["Depth"], files.inputs[0])


def read_depth(path):
    """The first channel of an EXR file, rows from the top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values.reshape(height, width, 4)[::-1, :, 0]


def render(job):
    """All views of one object."""
    scene = reset(job)
    load(job["path"])
    folder = Path(job["output"])
    add_depth_output(scene, str(folder))
    lens = bpy.data.cameras.new("camera")
    camera = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(camera)
    scene.camera = camera
    lens.sensor_fit = "HORIZONTAL"
    lens.clip_start, lens.clip_end = 0.01, 100.0
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    for view, (matrix, focal) in enumerate(zip(job["camera_to_world"], job["focal"], strict=True)):
        camera.matrix_world = Matrix(matrix)
        lens.lens = focal / job["width"] * lens.sensor_width
        scene.frame_set(view)
        scene.render.filepath = str(folder / f"rgba_{view:03d}.png")
        bpy.ops.render.render(write_still=True)
        exr = folder / f"depth_{view:04d}.exr"
        np.save(folder / f"depth_{view:03d}.npy", read_depth(exr))
        exr.unlink()


def main():
    for line in sys.stdin:
        try:
            render(json.loads(line))
            answer = {}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(PREFIX + json.dumps(answer), flush=True)


main()
