"""Materials of eyes, mouth, hair and cloth."""

from __future__ import annotations

from nodes import map_range, mix, new_material, node, texture


def hair_material(name: str, melanin: float, redness: float, roughness: float, spread: float):
    """Principled hair; spread: variation of colour from strand to strand."""
    material, nt = new_material(name)
    out = node(nt, 'ShaderNodeOutputMaterial')
    h = node(nt, 'ShaderNodeBsdfHairPrincipled', parametrization='MELANIN')
    for key, value in {
        'Melanin': melanin,
        'Melanin Redness': redness,
        'Roughness': roughness,
        'Radial Roughness': 0.4,
        'Random Color': spread,
    }.items():
        h.inputs[key].default_value = value
    nt.links.new(h.outputs[0], out.inputs['Surface'])
    return material


def wet_material():
    """Clear film of tears along the lower lid."""
    material, nt = new_material('wet')
    link = nt.links.new
    out = node(nt, 'ShaderNodeOutputMaterial')
    clear = node(nt, 'ShaderNodeBsdfTransparent')
    shine = node(nt, 'ShaderNodeBsdfGlossy', i_Roughness=0.12)
    fresnel = node(nt, 'ShaderNodeFresnel', i_IOR=1.45)
    both = node(nt, 'ShaderNodeMixShader')
    for k, source in enumerate((fresnel, clear, shine)):
        link(source.outputs[0], both.inputs[k])
    link(both.outputs[0], out.inputs['Surface'])
    return material


def sclera_material():
    """White of the eye with veins, redder and darker to the corners; clear cornea over the iris disc."""
    material, nt = new_material('sclera')
    link = nt.links.new
    out = node(nt, 'ShaderNodeOutputMaterial')
    rest = node(nt, 'ShaderNodeAttribute', attribute_name='rest').outputs['Vector']
    flat = node(nt, 'ShaderNodeVectorMath', operation='MULTIPLY')
    flat.inputs[1].default_value = (1, 1, 0)
    link(rest, flat.inputs[0])
    length = node(nt, 'ShaderNodeVectorMath', operation='LENGTH')
    link(flat.outputs[0], length.inputs[0])
    radius = length.outputs['Value']
    uv = node(nt, 'ShaderNodeVectorMath', operation='MULTIPLY_ADD')
    uv.inputs[1].default_value = (0.25 / 1.5, 0.5 / 1.5, 0)
    uv.inputs[2].default_value = (0.25, 0.5, 0)
    link(flat.outputs[0], uv.inputs[0])
    veins = texture(nt, 'sclera.jpg', uv.outputs[0])
    white = mix(nt, 0.45, (0.56, 0.52, 0.50), veins)
    white = mix(nt, map_range(nt, radius, 0.72, 1.30, 0, 1, True), white, (0.74, 0.58, 0.54), 'MULTIPLY')
    p = node(nt, 'ShaderNodeBsdfPrincipled', i_Roughness=0.16)
    for key, value in {
        'Subsurface Weight': 0.5,
        'Subsurface Radius': (1, 0.5, 0.3),
        'Subsurface Scale': 0.08,
        'Coat Weight': 0.6,
        'Coat Roughness': 0.04,
    }.items():
        p.inputs[key].default_value = value
    link(white, p.inputs['Base Color'])
    uneven = node(nt, 'ShaderNodeTexNoise', i_Scale=4.0, i_Detail=3.0)
    link(rest, uneven.inputs['Vector'])
    bump = node(nt, 'ShaderNodeBump', i_Strength=0.25, i_Distance=0.04)
    link(uneven.outputs['Fac'], bump.inputs['Height'])
    link(bump.outputs[0], p.inputs['Normal'])
    clear = node(nt, 'ShaderNodeBsdfTransparent')
    shine = node(nt, 'ShaderNodeBsdfGlossy', i_Roughness=0.02)
    fresnel = node(nt, 'ShaderNodeFresnel', i_IOR=1.46)
    cornea = node(nt, 'ShaderNodeMixShader')
    for k, source in enumerate((fresnel, clear, shine)):
        link(source.outputs[0], cornea.inputs[k])
    eye = node(nt, 'ShaderNodeMixShader')
    link(map_range(nt, radius, 0.50, 0.67, 0, 1, True), eye.inputs[0])  # wide: a soft limbus
    link(cornea.outputs[0], eye.inputs[1])
    link(p.outputs[0], eye.inputs[2])
    link(eye.outputs[0], out.inputs['Surface'])
    return material


def iris_material(tone: tuple[float, float, float]):
    """Iris disc; tone: factor on its picture."""
    material, nt = new_material('iris')
    link = nt.links.new
    out = node(nt, 'ShaderNodeOutputMaterial')
    p = node(nt, 'ShaderNodeBsdfPrincipled', i_Roughness=0.55)
    p.inputs['Specular IOR Level'].default_value = 0.2
    picture = texture(nt, 'iris.jpg', node(nt, 'ShaderNodeUVMap', uv_map='uv').outputs[0])
    hue = node(nt, 'ShaderNodeHueSaturation', i_Saturation=0.85, i_Value=0.72)
    link(picture, hue.inputs['Color'])
    colour = mix(nt, 1.0, hue.outputs[0], tone, 'MULTIPLY')
    link(colour, p.inputs['Base Color'])
    link(colour, p.inputs['Emission Color'])
    p.inputs['Emission Strength'].default_value = 0.08
    link(p.outputs[0], out.inputs['Surface'])
    return material


def _moist(
    name: str, colour, other, rough: float, sss: float, radius, scale: float, coat: float, bump: float, size: float
):
    """Moist tissue whose colour wanders between two tones, with small bumps."""
    material, nt = new_material(name)
    link = nt.links.new
    out = node(nt, 'ShaderNodeOutputMaterial')
    p = node(nt, 'ShaderNodeBsdfPrincipled', i_Roughness=rough)
    for key, value in {
        'Subsurface Weight': sss,
        'Subsurface Radius': radius,
        'Subsurface Scale': scale,
        'Coat Weight': coat,
        'Coat Roughness': 0.08,
    }.items():
        p.inputs[key].default_value = value
    rest = node(nt, 'ShaderNodeAttribute', attribute_name='rest').outputs['Vector']
    noise = node(nt, 'ShaderNodeTexNoise', i_Scale=size, i_Detail=4.0)
    link(rest, noise.inputs['Vector'])
    b = node(nt, 'ShaderNodeBump', i_Strength=0.6, i_Distance=bump)
    link(noise.outputs['Fac'], b.inputs['Height'])
    link(b.outputs[0], p.inputs['Normal'])
    colour = mix(nt, map_range(nt, noise.outputs['Fac'], 0.35, 0.65, 0, 1), colour, other)
    # deeper in the mouth it is darker than the few light bounces make it, and teeth are in the shade of the lips
    shade = node(nt, 'ShaderNodeAttribute', attribute_name='mouthshade').outputs['Fac']
    colour = mix(nt, shade, colour, (0.34, 0.25, 0.20), 'MULTIPLY')
    link(colour, p.inputs['Base Color'])
    link(p.outputs[0], out.inputs['Surface'])
    if name != 'teeth':  # a trace of light that two more bounces would bring: dark red, not black
        link(colour, p.inputs['Emission Color'])
        p.inputs['Emission Strength'].default_value = 0.035
    return material


def mouth_materials() -> dict:
    """Gums, tongue, teeth and the lining of the mouth."""
    red, tooth = (1, 0.4, 0.3), (1, 0.8, 0.6)
    return dict(
        gums=_moist('gums', (0.55, 0.20, 0.18), (0.46, 0.15, 0.14), 0.30, 0.5, red, 0.1, 0.4, 0.03, 5),
        tongue=_moist('tongue', (0.56, 0.25, 0.235), (0.47, 0.18, 0.17), 0.42, 0.6, red, 0.12, 0.25, 0.06, 9),
        teeth=_moist('teeth', (0.74, 0.655, 0.525), (0.65, 0.55, 0.415), 0.28, 0.7, tooth, 0.16, 0.25, 0.006, 1.15),
        socket=_moist('socket', (0.50, 0.17, 0.15), (0.42, 0.13, 0.12), 0.35, 0.4, red, 0.15, 0.3, 0.05, 3),
    )


def cloth_material(dark: tuple[float, float, float], light: tuple[float, float, float]):
    """Fine jersey, a little heathered, with creases; dark and light: colours of its threads."""
    material, nt = new_material('cloth')
    link = nt.links.new
    out = node(nt, 'ShaderNodeOutputMaterial')
    p = node(nt, 'ShaderNodeBsdfPrincipled', i_Roughness=0.9)
    p.inputs['Specular IOR Level'].default_value = 0.15
    p.inputs['Sheen Weight'].default_value = 0.22
    p.inputs['Sheen Roughness'].default_value = 0.5
    place = node(nt, 'ShaderNodeTexCoord').outputs['Object']

    def noise(scale, detail, vector=place, distortion=0.0):
        n = node(nt, 'ShaderNodeTexNoise', i_Scale=scale, i_Detail=detail, i_Distortion=distortion)
        link(vector, n.inputs['Vector'])
        return n.outputs['Fac']

    stretch = node(nt, 'ShaderNodeMapping')
    stretch.inputs['Scale'].default_value = (5.0, 5.0, 1.3)
    link(place, stretch.inputs[0])
    heather = mix(nt, 0.5, noise(2.2, 5, stretch.outputs[0]), noise(0.35, 3))
    link(mix(nt, map_range(nt, heather, 0.36, 0.66, 0, 1), dark, light), p.inputs['Base Color'])
    # creases: ridges of stretched, bent noise, one set falling from each shoulder
    normal = None
    for turn, shift in ((0.75, 0.0), (-0.75, 7.0)):
        m = node(nt, 'ShaderNodeMapping')
        m.inputs['Rotation'].default_value = (0, turn, 0)
        m.inputs['Location'].default_value = (shift, 0, 0)
        m.inputs['Scale'].default_value = (0.07, 0.07, 0.20)
        link(place, m.inputs[0])
        n = noise(1.0, 1.6, m.outputs[0], 0.8)
        up = map_range(nt, n, 0.42, 0.60, 0, 1, True)
        down = map_range(nt, n, 0.60, 0.82, 1, 0, True)
        ridge = node(nt, 'ShaderNodeMath', operation='MULTIPLY')
        link(up, ridge.inputs[0])
        link(down, ridge.inputs[1])
        b = node(nt, 'ShaderNodeBump', i_Strength=0.6, i_Distance=0.16)
        link(ridge.outputs[0], b.inputs['Height'])
        if normal:
            link(normal, b.inputs['Normal'])
        normal = b.outputs[0]
    fine = node(nt, 'ShaderNodeBump', i_Strength=0.5, i_Distance=0.05)
    link(noise(7.0, 4), fine.inputs['Height'])
    link(normal, fine.inputs['Normal'])
    link(fine.outputs[0], p.inputs['Normal'])
    link(p.outputs[0], out.inputs['Surface'])
    return material
