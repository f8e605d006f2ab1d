"""Camera, lights, colour management, the room behind as a fixed plate, and the render settings."""

from __future__ import annotations

import math
import os

import bpy
import ict
import mathutils
import numpy as np
from nodes import TEXTURES

SIZE = 512
DISTANCE = 110.0  # cm from the camera to the middle of the head
LENS = 108  # mm, on 36 mm: K = [[1536, 0, 256], [0, 1536, 256], [0, 0, 1]]


def set_stage(scene, lm: np.ndarray):
    """Camera and lights around a head with 68 landmarks lm (68, 3); returns the camera object."""
    centre = ict.to_blender(np.array([0, (lm[27, 1] + lm[8, 1]) / 2 + 0.2, lm[27, 2] - 4]))
    data = bpy.data.cameras.new('camera')
    data.lens, data.sensor_width = LENS, 36
    camera = bpy.data.objects.new('camera', data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.location = (0, centre[1] - DISTANCE, centre[2] - 1.75)
    camera.rotation_euler = (math.radians(90), 0, 0)
    target, z = mathutils.Vector(centre), centre[2]
    lights = (  # name, place, size, power, colour
        ('key', (-62, -80, z + 46), (40, 54), 150000, (1, 0.955, 0.90)),
        ('fill', (95, -60, z), (110, 110), 20000, (0.90, 0.95, 1)),
        ('front', (10, -112, z + 26), (30, 10), 8000, (1, 0.98, 0.96)),  # eye light just above the lens
        ('rim', (60, 55, z + 40), (30, 70), 15000, (0.93, 0.96, 1)),
        ('rim2', (-75, 45, z + 15), (25, 80), 20000, (0.88, 0.94, 1)),
    )
    for name, place, size, power, colour in lights:
        light = bpy.data.lights.new(name, 'AREA')
        light.shape = 'RECTANGLE'
        light.size, light.size_y = size
        light.energy, light.color = power, colour
        new = bpy.data.objects.new(name, light)
        scene.collection.objects.link(new)
        new.location = place
        new.rotation_euler = (target - mathutils.Vector(place)).to_track_quat('-Z', 'Y').to_euler()
    world = bpy.data.worlds.new('world')
    scene.world = world
    world.use_nodes = True
    world.node_tree.nodes['Background'].inputs[0].default_value = (0.80, 0.82, 0.86, 1)
    world.node_tree.nodes['Background'].inputs[1].default_value = 0.15
    view = scene.view_settings
    view.view_transform, view.look, view.exposure = 'AgX', 'AgX - Medium High Contrast', 0.40
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    return camera


def composite(scene, matte_folder: str) -> None:
    """Head over the plate in scene light, so that the room is the same to the grey level in every frame.

    The matte (alpha) is denoised like the picture and written to matte_folder/matte####.exr.
    """
    scene.render.film_transparent = True
    scene.render.use_compositing = True
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    layer = tree.nodes.new('CompositorNodeRLayers')
    out = tree.nodes.new('CompositorNodeComposite')
    plate = tree.nodes.new('CompositorNodeImage')
    plate.image = bpy.data.images.load(os.path.join(TEXTURES, 'room.png'))
    clean = tree.nodes.new('CompositorNodeDenoise')
    clean.use_hdr = False
    link = tree.links.new
    link(layer.outputs['Alpha'], clean.inputs['Image'])
    matte = clean.outputs['Image']
    # premultiplied: head + (1 - matte) * plate
    rest = tree.nodes.new('CompositorNodeMath')
    rest.operation = 'SUBTRACT'
    rest.use_clamp = True
    rest.inputs[0].default_value = 1.0
    link(matte, rest.inputs[1])
    behind = tree.nodes.new('CompositorNodeMixRGB')
    behind.blend_type = 'MULTIPLY'
    behind.inputs[0].default_value = 1.0
    link(plate.outputs[0], behind.inputs[1])
    link(rest.outputs[0], behind.inputs[2])
    both = tree.nodes.new('CompositorNodeMixRGB')
    both.blend_type = 'ADD'
    both.inputs[0].default_value = 1.0
    link(behind.outputs[0], both.inputs[1])
    link(layer.outputs['Image'], both.inputs[2])
    link(both.outputs[0], out.inputs['Image'])
    file = tree.nodes.new('CompositorNodeOutputFile')
    file.base_path = matte_folder
    file.file_slots.clear()
    file.file_slots.new('matte')
    file.format.file_format = 'OPEN_EXR'  # linear; a PNG would go through the view transform
    file.format.color_mode = 'RGB'
    file.format.color_depth = '16'
    link(matte, file.inputs[0])


def cycles(scene, samples: int, threads: int = 0) -> None:
    """Cycles on the CPU, one fixed seed for every frame (no flicker of the noise pattern), denoised with OIDN."""
    scene.render.engine = 'CYCLES'
    scene.render.use_persistent_data = True
    scene.render.use_sequencer = False
    c = scene.cycles
    settings = dict(
        device='CPU', samples=samples, seed=0, use_animated_seed=False, sampling_pattern='BLUE_NOISE',
        use_denoising=True, denoiser='OPENIMAGEDENOISE', denoising_quality='HIGH', denoising_prefilter='ACCURATE',
        use_adaptive_sampling=True, adaptive_threshold=0.06, adaptive_min_samples=7,
        max_bounces=5, diffuse_bounces=3, glossy_bounces=2, transmission_bounces=2, transparent_max_bounces=8,
        sample_clamp_indirect=4, caustics_reflective=False, caustics_refractive=False,
        use_auto_tile=False, use_light_tree=False, filter_width=1.45,
    )  # fmt: skip
    for name, value in settings.items():
        setattr(c, name, value)
    scene.cycles_curves.shape = 'RIBBONS'
    if threads:
        scene.render.threads_mode = 'FIXED'
        scene.render.threads = threads
