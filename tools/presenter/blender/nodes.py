"""Shorthand for Blender shader nodes."""

from __future__ import annotations

import os

import bpy

TEXTURES = os.environ.get(
    'PRESENTER_TEXTURES', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'assets', 'textures')
)


def new_material(name: str):
    """An empty material: (material, node tree)."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    material.node_tree.nodes.clear()
    return material, material.node_tree


def node(tree, kind: str, **settings):
    """A new node; `i_Some_Input=value` sets the input 'Some Input', other keywords set properties."""
    new = tree.nodes.new(kind)
    for name, value in settings.items():
        if name.startswith('i_'):
            new.inputs[name[2:].replace('_', ' ')].default_value = value
        else:
            setattr(new, name, value)
    return new


def map_range(tree, source, a: float, b: float, low: float, high: float, soft: bool = False):
    """Output of a Map Range node: source from [a, b] to [low, high]."""
    new = node(tree, 'ShaderNodeMapRange')
    if soft:
        new.interpolation_type = 'SMOOTHSTEP'
    for name, value in zip(('From Min', 'From Max', 'To Min', 'To Max'), (a, b, low, high)):
        new.inputs[name].default_value = value
    tree.links.new(source, new.inputs['Value'])
    return new.outputs['Result']


def mix(tree, factor, a, b, blend: str = 'MIX'):
    """Colour mix; factor, a and b are sockets or constants."""
    new = node(tree, 'ShaderNodeMixRGB', blend_type=blend)
    for k, value in enumerate((factor, a, b)):
        if hasattr(value, 'is_output'):
            tree.links.new(value, new.inputs[k])
        else:
            new.inputs[k].default_value = value if k == 0 else (*value, 1)
    return new.outputs[0]


def texture(tree, name: str, uv, colour: bool = True, cubic: bool = False):
    """Output of an image texture from the texture folder."""
    new = node(tree, 'ShaderNodeTexImage')
    new.image = bpy.data.images.load(os.path.join(TEXTURES, name))
    if not colour:
        new.image.colorspace_settings.name = 'Non-Color'
    new.interpolation = 'Cubic' if cubic else 'Linear'
    tree.links.new(uv, new.inputs[0])
    return new.outputs[0]
