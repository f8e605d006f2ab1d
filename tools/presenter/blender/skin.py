"""The skin: albedo, relief and gloss from texture maps, subsurface scattering, ears, lips, scalp."""

from __future__ import annotations

from nodes import map_range, mix, new_material, node, texture


def _math(nt, operation: str, *values):
    new = node(nt, 'ShaderNodeMath', operation=operation)
    for k, value in enumerate(values):
        if hasattr(value, 'is_output'):
            nt.links.new(value, new.inputs[k])
        else:
            new.inputs[k].default_value = value
    return new.outputs[0]


def _noise(nt, scale: float, detail: float, vector):
    new = node(nt, 'ShaderNodeTexNoise', i_Scale=scale, i_Detail=detail)
    nt.links.new(vector, new.inputs['Vector'])
    return new.outputs['Fac']


def skin_material(part: str, tone: tuple[float, float, float], saturation: float):
    """Material of one texture part ('face' or 'back').

    tone: factor on the albedo; saturation: of the albedo. Vertex attributes: skinmsk (oil, lips, scalp; alpha: ear),
    rest (rest position), cav (hollows of the ear), earred.
    """
    material, nt = new_material('skin_' + part)
    link = nt.links.new
    out = node(nt, 'ShaderNodeOutputMaterial')
    p = node(nt, 'ShaderNodeBsdfPrincipled')
    uv = node(nt, 'ShaderNodeUVMap', uv_map='uv').outputs[0]
    colour = texture(nt, part + '_col.jpg', uv)
    gloss = texture(nt, part + '_spec.jpg', uv, False)
    relief = texture(nt, part + '_disp.png', uv, False, True)
    masks = node(nt, 'ShaderNodeAttribute', attribute_name='skinmsk')
    split = node(nt, 'ShaderNodeSeparateColor')
    link(masks.outputs['Color'], split.inputs[0])
    oil, lips, scalp, ear = *split.outputs[:3], masks.outputs['Alpha']
    rest = node(nt, 'ShaderNodeAttribute', attribute_name='rest').outputs['Vector']
    # albedo: tone of this person, blotches, lips, scalp under the hair, hollows and rim of the ears
    hue = node(nt, 'ShaderNodeHueSaturation', i_Saturation=saturation, i_Value=0.92)
    link(colour, hue.inputs['Color'])
    c = mix(nt, 1.0, hue.outputs[0], tone, 'MULTIPLY')
    c = mix(nt, map_range(nt, _noise(nt, 0.9, 4, rest), 0.42, 0.75, 0, 0.40), c, (1.0, 0.86, 0.84), 'MULTIPLY')
    c = mix(nt, map_range(nt, _noise(nt, 4.5, 4, rest), 0.40, 0.75, 0, 0.26), c, (0.93, 0.80, 0.76), 'MULTIPLY')
    lip_hue = node(nt, 'ShaderNodeHueSaturation', i_Saturation=0.94, i_Value=0.99)
    link(c, lip_hue.inputs['Color'])
    c = mix(nt, lips, c, lip_hue.outputs[0])
    brow = node(nt, 'ShaderNodeAttribute', attribute_name='browtint').outputs['Fac']
    c = mix(nt, map_range(nt, brow, 0, 1, 0, 0.42), c, (0.42, 0.37, 0.34), 'MULTIPLY')
    thick = _math(nt, 'POWER', scalp, 1.4)
    scalp_share = _math(nt, 'MULTIPLY', thick, map_range(nt, _noise(nt, 14, 2, rest), 0.3, 0.7, 0.74, 0.90))
    c = mix(nt, scalp_share, c, (0.085, 0.068, 0.058))
    hollow = node(nt, 'ShaderNodeAttribute', attribute_name='cav').outputs['Fac']
    c = mix(nt, map_range(nt, hollow, 0, 1, 0, 0.9), c, (0.50, 0.33, 0.28), 'MULTIPLY')
    rim = node(nt, 'ShaderNodeAttribute', attribute_name='earred').outputs['Fac']
    blotch = map_range(nt, _noise(nt, 1.6, 4, rest), 0.3, 0.7, 0.35, 1.25)
    c = mix(nt, _math(nt, 'MULTIPLY', rim, blotch), c, (0.99, 0.80, 0.75), 'MULTIPLY')
    link(c, p.inputs['Base Color'])
    # gloss
    rough = map_range(nt, gloss, 0.05, 0.95, 0.60, 0.30)
    rough = _math(nt, 'MULTIPLY_ADD', oil, -0.13, rough)
    rough = _math(nt, 'MULTIPLY_ADD', lips, 0.02, rough)
    ears = node(nt, 'ShaderNodeMix', data_type='FLOAT')
    link(ear, ears.inputs[0])
    link(rough, ears.inputs[2])
    link(map_range(nt, _noise(nt, 5, 4, rest), 0.3, 0.7, 0.36, 0.52), ears.inputs[3])
    link(ears.outputs[0], p.inputs['Roughness'])
    level = _math(nt, 'MULTIPLY', map_range(nt, gloss, 0, 0.9, 0.20, 0.70), map_range(nt, scalp, 0, 1, 1, 0.35))
    link(level, p.inputs['Specular IOR Level'])
    p.inputs['IOR'].default_value = 1.4
    link(_math(nt, 'MULTIPLY_ADD', lips, 0.05, map_range(nt, gloss, 0.3, 1.0, 0.02, 0.26)), p.inputs['Coat Weight'])
    p.inputs['Coat Roughness'].default_value = 0.30
    # light that travels below the surface: less in the thin ears and under the hair
    p.subsurface_method = 'RANDOM_WALK'
    depth = _math(nt, 'MULTIPLY', map_range(nt, ear, 0, 1, 0.85, 0.30), map_range(nt, scalp, 0, 0.6, 1, 0.12))
    link(depth, p.inputs['Subsurface Weight'])
    p.inputs['Subsurface Radius'].default_value = (1.0, 0.36, 0.17)
    p.inputs['Subsurface Scale'].default_value = 0.13
    p.inputs['Subsurface Anisotropy'].default_value = 0.6
    # relief: the map, then unevenness of about 2 mm that breaks up highlights, then pores
    b1 = node(nt, 'ShaderNodeBump', i_Strength=1.0, i_Distance=0.55)
    link(relief, b1.inputs['Height'])
    b2 = node(nt, 'ShaderNodeBump', i_Strength=0.5, i_Distance=0.030)
    link(_noise(nt, 3.2, 3, rest), b2.inputs['Height'])
    link(b1.outputs[0], b2.inputs['Normal'])
    pores = node(nt, 'ShaderNodeTexVoronoi', i_Scale=8.0)
    link(rest, pores.inputs['Vector'])
    b3 = node(nt, 'ShaderNodeBump', i_Strength=0.45, i_Distance=0.024)
    link(_math(nt, 'ADD', pores.outputs['Distance'], _noise(nt, 6, 5, rest)), b3.inputs['Height'])
    link(b2.outputs[0], b3.inputs['Normal'])
    link(b3.outputs[0], p.inputs['Normal'])
    link(p.outputs[0], out.inputs['Surface'])
    return material
