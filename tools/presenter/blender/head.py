"""The presenter in Blender: builds the scene once, poses it per frame, knows its landmarks and pupils."""

from __future__ import annotations

import math
import os
import tempfile

import bpy
import clothes
import ict
import mathutils
import numpy as np
import stage
import surfaces
from ict import smooth, to_blender
from landmarks import landmark_vertices, shoulder_outline
from person import Person
from regions import Regions
from skin import skin_material
from strands import Growth, Lashes, brow_tint, new_curves, place_curves

KAPPA = math.radians(4.6)  # the optical axis lies this far to the temple from the line of sight (ICT's rest pose: 4.5)
IRIS, PUPIL = 0.655, 0.235  # radii, cm
IRIS_DEPTH = 0.075  # cm, rim of the iris disc behind the limbus
PUPIL_RISE = 0.030  # cm, its middle before its rim
HIDDEN = {'M_EyeBlend', 'M_EyeOcclusion', 'M_EyeLashes', 'M_IrisLeft', 'M_IrisRight'}
SLOTS = ('skin_face', 'skin_back', 'socket', 'gums', 'tongue', 'teeth', 'sclera', 'wet')
SLOT = dict(M_Face=0, M_BackHead=1, M_GumsTongue=3, M_Teeth=5, M_ScleraLeft=6, M_ScleraRight=6, M_LacrimalFluid=7)


def sight_to_axis(gaze: np.ndarray, eye_x: float) -> np.ndarray:
    """Optical axis of the eyeball at x = eye_x whose line of sight is the unit vector gaze (..., 3)."""
    a = KAPPA * np.sign(eye_x)
    turn = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    return np.asarray(gaze) @ turn.T


class Head:
    """One presenter. Frame: x right in the picture, y up, z to the viewer, cm; head turns about `pivot`."""

    def __init__(self, person: Person) -> None:
        self.rest = ict.identity(person.seed, person.sigma)
        self.lm = self.rest[ict.LM68]
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.regions, self.style = Regions(self.rest), person.style
        self.materials = self._materials(person)
        self._eyeballs()
        self._mesh()
        self._irises()
        growth = Growth(self.regions, self.style)
        self.strands = [*growth.hair(), growth.brows()]
        self.lashes = Lashes(self.rest, self.lm)
        self.curves = [
            new_curves(self.scene, s.material, *s.points.shape[:2], s.radius, self.materials[s.material])
            for s in self.strands
        ]
        self.lash_curves = new_curves(self.scene, 'lash', len(self.lashes.vertices), 4, 0.0056, self.materials['lash'])
        clothes.torso(self.scene, self.regions, self.materials['cloth'])
        camera = stage.set_stage(self.scene, self.lm)
        place = np.array(camera.location)
        self.camera = np.array([place[0], place[2], -place[1]])
        self.focal = stage.LENS / 36 * stage.SIZE
        self.v73, self.v73b = landmark_vertices(self.rest, growth.arcs)
        self.origin = (0.5 * (self.rest[self.v73] + self.rest[self.v73b])).mean(0)
        self.origin[0] = 0.0
        self.shoulder = shoulder_outline(self.camera, self.focal)
        self._mattes = tempfile.mkdtemp(prefix='matte_')
        stage.composite(self.scene, self._mattes)

    @staticmethod
    def _materials(person: Person) -> dict:
        out = {
            f'skin_{part}': skin_material(part, person.skin_tone, person.skin_saturation) for part in ('face', 'back')
        }
        out |= surfaces.mouth_materials()
        out |= dict(
            sclera=surfaces.sclera_material(),
            iris=surfaces.iris_material(person.iris),
            wet=surfaces.wet_material(),
            cloth=surfaces.cloth_material(person.cloth_dark, person.cloth_light),
            hair=surfaces.hair_material('hair', person.melanin, person.redness, 0.34, 0.08),
            brow=surfaces.hair_material('brow', person.brow_melanin, 0.04, 0.42, 0.10),
            lash=surfaces.hair_material('lash', 0.95, 0.2, 0.4, 0.15),
        )
        return out

    def _eyeballs(self) -> None:
        """Centre and optical axis at rest of both eyeballs: sphere fitted to the back, cornea bulges along the axis."""
        centres, axes = [], []
        for part in ict.CORNEAS:
            p = self.rest[part]
            m = p[:, 2] < np.sort(p[:, 2])[int(len(p) * 0.55)]
            x = np.linalg.lstsq(np.c_[2 * p[m], np.ones(m.sum())], (p[m] ** 2).sum(1), rcond=None)[0]
            c = x[:3]
            radius = np.sqrt(x[3] + c @ c)
            bulge = np.clip(np.linalg.norm(p - c, axis=1) - 1.06 * radius, 0, None) * (p[:, 2] > c[2])
            axis = ((p - c) * bulge[:, None]).sum(0)
            centres.append(c)
            axes.append(axis / np.linalg.norm(axis))
        self.eye_centre, self.eye_axis = np.array(centres), np.array(axes)

    def _mesh(self) -> None:
        regions, rest = self.regions, self.rest

        def kept(face: np.ndarray) -> bool:  # no skin below the collar
            c = rest[face].mean(0)
            if c[1] > self.lm[8, 1] - 2.0:
                return True
            th = math.atan2(c[2] - regions.neck_z, c[0])
            above = c[1] - regions.ring_height(th)
            reach = regions.ring_radius(th) + 0.25 + max(0, above) * 2
            return above > -2.0 and np.hypot(c[0], c[2] - regions.neck_z) < reach

        kinds = [ict.MATERIALS[m] for m in ict.FACE_MATERIAL]
        keep = [i for i, f in enumerate(ict.FACES) if kinds[i] not in HIDDEN and kept(f)]
        mesh = bpy.data.meshes.new('head')
        mesh.from_pydata(to_blender(rest).tolist(), [], [ict.FACES[i].tolist() for i in keep])
        for name in SLOTS:
            mesh.materials.append(self.materials[name])
        slots = []
        for i in keep:
            first = ict.FACES[i].min()
            slot = SLOT[kinds[i]]
            if ict.HEAD <= first < ict.SOCKETS and slot < 2:
                slot = 2
            slots.append(4 if slot == 3 and first >= 15772 else slot)
        mesh.polygons.foreach_set('material_index', np.array(slots, np.int32))
        mesh.polygons.foreach_set('use_smooth', np.ones(len(keep), bool))
        uv = ict.UV[np.concatenate([ict.FACE_UV[i] for i in keep])]
        mesh.uv_layers.new(name='uv').data.foreach_set('uv', uv.astype(np.float32).ravel())
        place = rest.copy()  # eyeballs: seen along their axis
        self.limbus_z = []
        for part, centre, axis in zip(ict.EYES, self.eye_centre, self.eye_axis):
            place[part] = (rest[part] - centre) @ ict.rotation_between(axis, np.array([0, 0, 1.0])).T
            q = place[part][:770]
            radius = np.hypot(q[:, 0], q[:, 1])
            self.limbus_z.append(q[(radius > 0.56) & (radius < 0.68) & (q[:, 2] > 0), 2].mean())
        hollow, red = regions.ear_colours()
        masks = np.stack([regions.oil, regions.lips, regions.scalp, regions.ear], 1)
        for name, kind, field, value in (
            ('rest', 'FLOAT_VECTOR', 'vector', place),
            ('skinmsk', 'FLOAT_COLOR', 'color', masks),
            ('cav', 'FLOAT', 'value', hollow),
            ('earred', 'FLOAT', 'value', red),
            ('mouthshade', 'FLOAT', 'value', regions.mouth_shade),
            ('browtint', 'FLOAT', 'value', brow_tint(rest, self.lm, self.style)),
        ):
            mesh.attributes.new(name, kind, 'POINT').data.foreach_set(field, value.astype(np.float32).ravel())
        self.object = bpy.data.objects.new('head', mesh)
        self.scene.collection.objects.link(self.object)
        modifier = self.object.modifiers.new('smooth', 'SUBSURF')
        modifier.levels = modifier.render_levels = 1
        th = np.arctan2(rest[:, 2] - regions.neck_z, rest[:, 0])
        self.follow = smooth(rest[:, 1], regions.ring_height(th) - 0.3, self.lm[8, 1] + 0.1)  # 1 head, 0 collar
        self.pivot = np.array([0, self.lm[8, 1] - 2.0, self.lm[0, 2] - 1.5])

    def _irises(self) -> None:
        """Slightly conical discs below the corneas; texture radius remapped to the pupil's size."""
        self.irises = []
        rings, count = 8, 40
        for k, turn in enumerate((1.9, 0.3)):
            v = [(0.0, 0.0, PUPIL_RISE)]
            for i in range(1, rings + 1):
                r = IRIS * i / rings
                z = 0.035 * (1 - r / IRIS) if r > 0.19 else PUPIL_RISE
                a = 2 * np.pi * np.arange(count) / count
                v += list(zip(r * np.cos(a), r * np.sin(a), np.full(count, z)))
            faces = [[0, 1 + j, 1 + (j + 1) % count] for j in range(count)]
            for i in range(rings - 1):
                a, b = 1 + i * count, 1 + (i + 1) * count
                faces += [[a + j, b + j, b + (j + 1) % count, a + (j + 1) % count] for j in range(count)]
            mesh = bpy.data.meshes.new(f'iris{k}')
            mesh.from_pydata(v, [], faces)
            mesh.polygons.foreach_set('use_smooth', np.ones(len(faces), bool))
            xy = np.array(v)[np.concatenate(faces), :2]
            r = np.hypot(xy[:, 0], xy[:, 1])
            # its picture has the pupil's edge at .145, its rim at .435
            radial = np.where(r < PUPIL, r / PUPIL * 0.145, 0.145 + (r - PUPIL) / (IRIS - PUPIL) * 0.29)
            turned = xy @ np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]).T
            uv = turned * (radial / np.maximum(r, 1e-6))[:, None] + 0.5
            mesh.uv_layers.new(name='uv').data.foreach_set('uv', uv.astype(np.float32).ravel())
            mesh.materials.append(self.materials['iris'])
            self.irises.append(bpy.data.objects.new(f'iris{k}', mesh))
            self.scene.collection.objects.link(self.irises[-1])

    # ---- per frame

    def at_camera(self, rotation: np.ndarray, move: np.ndarray) -> np.ndarray:
        """(2, 3) lines of sight in the head's frame that meet the lens."""
        to = rotation.T @ (self.camera - self.pivot - move) + self.pivot - self.eye_centre
        return to / np.linalg.norm(to, axis=1, keepdims=True)

    def pose(self, weights: dict[str, float], rotation=None, move=(0, 0, 0), gaze=None, torso=None) -> None:
        """weights: of the shapes; rotation (3, 3) about the pivot and move (3) of the head; gaze (2, 3): unit lines
        of sight of the left and right eye in the head's frame, else at the camera; torso (3): shift of the clothes."""
        rotation = np.eye(3) if rotation is None else np.asarray(rotation, float)
        move = np.asarray(move, float)
        p = self.rest.copy()
        for name, weight in weights.items():
            if weight:
                p += weight * ict.SHAPES[name]
        gaze = self.at_camera(rotation, move) if gaze is None else np.asarray(gaze, float)
        axes = [sight_to_axis(g, c[0]) for g, c in zip(gaze, self.eye_centre)]
        for part, c, rest_axis, axis in zip(ict.EYES, self.eye_centre, self.eye_axis, axes):
            p[part] = (self.rest[part] - c) @ ict.rotation_between(rest_axis, axis).T + c
        if torso is None:  # half of the way of the object's origin
            torso = 0.5 * (rotation @ (self.origin - self.pivot) + self.pivot + move - self.origin)
        torso = np.asarray(torso, float)

        def place(x: np.ndarray, follow: np.ndarray) -> np.ndarray:
            w = follow[..., None]
            return (x + torso) * (1 - w) + ((x - self.pivot) @ rotation.T + self.pivot + move) * w

        self.posed = place(p, self.follow)
        self.object.data.vertices.foreach_set('co', to_blender(self.posed).astype(np.float32).ravel())
        self.object.data.update()
        for name in ('torso', 'collar'):
            bpy.data.objects[name].location = to_blender(torso)
        for s, curves in zip(self.strands, self.curves):
            b = s.weights[..., None]
            shift = (p[s.triangles] * b).sum(1) - (self.rest[s.triangles] * b).sum(1)
            follow = (self.follow[s.triangles] * s.weights).sum(1)[:, None] * np.ones((1, s.points.shape[1]))
            place_curves(curves, place(s.points + shift[:, None], follow))
        lash = self.lashes.points(p)
        place_curves(self.lash_curves, place(lash, np.ones(lash.shape[:2])))
        self.pupils = []
        for iris, c, axis, z in zip(self.irises, self.eye_centre, axes, self.limbus_z):
            turn = rotation @ ict.rotation_between(np.array([0, 0, 1.0]), axis)
            base = (c - self.pivot) @ rotation.T + self.pivot + move + turn @ np.array([0, 0, z - IRIS_DEPTH])
            self.pupils.append(base + turn @ np.array([0, 0, PUPIL_RISE]))
            to = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]])
            matrix = np.eye(4)
            matrix[:3, :3], matrix[:3, 3] = to @ turn, to @ base
            iris.matrix_world = mathutils.Matrix(matrix.tolist())

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) of the y-up frame."""
        d = np.asarray(points) - self.camera
        return np.stack([256 + self.focal * d[..., 0] / -d[..., 2], 256 - self.focal * d[..., 1] / -d[..., 2]], -1)

    def truth(self) -> dict[str, np.ndarray]:
        """Pixels of the mesh as posed: 73 landmarks and both pupils."""
        p73 = 0.5 * (self.posed[self.v73] + self.posed[self.v73b])
        return dict(lm73=self.project(p73), pupil=self.project(np.array(self.pupils)))

    def render(self, path: str) -> np.ndarray:
        """Renders the pose to path (PNG); returns its matte (H, W), uint8, 255 = the person."""
        self.scene.render.filepath = path
        for name in os.listdir(self._mattes):
            os.remove(os.path.join(self._mattes, name))
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(os.path.join(self._mattes, os.listdir(self._mattes)[0]))
        image.colorspace_settings.name = 'Non-Color'
        matte = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], -1)[::-1, :, 0]
        bpy.data.images.remove(image)
        return np.clip(matte * 255 + 0.5, 0, 255).astype(np.uint8)

    def rig(self) -> dict[str, np.ndarray]:
        """All that the timeline needs, without Blender."""
        ids = np.concatenate([ict.LM68, self.v73, self.v73b])
        names = [n for n in ict.SHAPES if not n.startswith('PupilDilate')]
        return dict(
            names=np.array(names),
            lm68=np.array(ict.LM68),
            v73=self.v73,
            v73b=self.v73b,
            rest=self.rest[ids],
            delta=np.stack([ict.SHAPES[n][ids] for n in names]).astype(np.float32),
            pivot=self.pivot,
            origin=self.origin,
            camera=self.camera,
            focal=self.focal,
            shoulder=self.shoulder,
            eye_centre=self.eye_centre,
            eye_axis=self.eye_axis,
            pupil_depth=np.array(self.limbus_z) - IRIS_DEPTH + PUPIL_RISE,
            kappa=KAPPA,
            iris_radius=IRIS,
            pupil_radius=PUPIL,
        )
