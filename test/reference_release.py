"""A made-up release in the layout of the authors' one: every number of it comes from a seed.

The golden arrays in ``golden/release`` were computed by the authors' own program from such folders, so the
folders have to be the same everywhere. Each tensor has a random stream of its own, named by seed, file and
tensor, and only uniform float32 draws, one product and one sum are made of it: no normal deviates, no matrix
products. ``write_release`` returns the SHA-256 of every array; ``digest`` sums them up.

The database of speech features is noise, smoothed over time, in which no frame of the golden recording has a
near-tie between its 10th and 11th neighbour.
"""

import hashlib
import json
import math
from pathlib import Path

import cv2
import numpy as np
import scipy.io
import torch

FRAMES = 480  # frames of the imaginary training video (eye samples wrap after 470 output frames)
# Values of the published configurations: `normal` follows Obama1, `large` follows May.  `centre` of `large` makes the
# shoulder offset non-zero.  `database` is a stream number chosen so that (for seeds 11 and 29) no frame of the driving
# recording has a near-tie between its 10th and 11th nearest database row.
SUBJECTS = {
    'normal': dict(
        id='RefNormal',
        residual=1,
        smooth=1,
        amp=1.5,
        head_smooth=[2, 8],
        head_amp=[1, 1],
        centre=(640, 300),
        database=28,
    ),
    'large': dict(
        id='RefLarge',
        residual=2,
        smooth=1.5,
        amp=2,
        head_smooth=[5, 10],
        head_amp=[1, 0.5],
        centre=(230, 250),
        database=36,
    ),
}


def uniform(seed, name, shape, low, high):
    """float32 values in [low, high) from the PCG64 stream of this name: one draw, one multiply, one add."""
    key = int.from_bytes(hashlib.sha256(f'{seed}:{name}'.encode()).digest()[:16], 'little')
    rng = np.random.Generator(np.random.PCG64(key))
    return rng.random(shape, dtype=np.float32) * np.float32(high - low) + np.float32(low)


class Layers(list):
    """Entries (name, shape, low, high) of one state dict in file order; low None means the int64 batch counter."""

    def add(self, name, shape, bound, low=None):
        self.append((name, tuple(shape), -bound if low is None else low, bound))

    def weight(self, name, shape, gain=1.0, bias=True):
        """Linear or convolution, variance gain**2 / fan_in."""
        fan_in = math.prod(shape[1:])
        self.add(name + '.weight', shape, gain * math.sqrt(3.0 / fan_in))
        if bias:
            self.add(name + '.bias', shape[:1], 0.5 * gain / math.sqrt(fan_in))

    def batch_norm(self, name, channels):
        for part, high, low in (
            ('weight', 1.2, 0.8),
            ('bias', 0.2, None),
            ('running_mean', 0.2, None),
            ('running_var', 1.5, 0.5),
        ):
            self.add(f'{name}.{part}', (channels,), high, low)
        self.append((name + '.num_batches_tracked', (), None, None))

    def recurrent(self, name, layer, gates, inputs, hidden, gain=1.0):
        """One GRU (3 gates) or LSTM (4 gates) layer, uniform 1/sqrt(hidden); gain is for the input weights."""
        bound = 1 / math.sqrt(hidden)
        for part, shape, scale in (
            ('weight_ih', (inputs,), gain),
            ('weight_hh', (hidden,), 1),
            ('bias_ih', (), 1),
            ('bias_hh', (), 1),
        ):
            self.add(f'{name}.{part}_l{layer}', (gates * hidden, *shape), scale * bound)

    def front_end(self, name, gain):
        """Pair of feature frames 1024 -> 512, BatchNorm, activation, 512 -> 512."""
        self.weight(name + '.0', (512, 1024), gain=4.0)
        self.batch_norm(name + '.1', 512)
        self.weight(name + '.3', (512, 512), gain)


def speech_encoder():
    """APC: three GRUs 80 -> 512 -> 512 -> 512.  No key prefix in this file."""
    net = Layers()
    for i in range(3):
        net.recurrent(f'rnns.{i}', 0, 3, 512 if i else 80, 512, gain=3.0 if i else 12.0)
    return net


def mouth_network():
    """Audio2Feature: 1024 -> 512 -> 512 front end, three LSTMs of 256, head 256 -> 512 -> 512 -> 75."""
    net = Layers()
    net.front_end('module.downsample', gain=3.0)
    for i in range(3):
        net.recurrent('module.LSTM', i, 4, 256 if i else 512, 256, gain=2.0)
    net.weight('module.fc.0', (512, 256), gain=4.0)
    net.batch_norm('module.fc.1', 512)
    net.weight('module.fc.3', (512, 512))
    net.batch_norm('module.fc.4', 512)
    net.weight('module.fc.6', (75, 512), gain=0.2)
    return net


def head_network():
    """Audio2Headpose: the same front end, then 14 gated dilated layers of 128 channels, kernel 2."""
    net = Layers()
    net.front_end('module.audio_downsample', gain=1.0)
    root = 'module.WaveNet.'
    net.weight(root + 'start_conv1', (128, 12, 1), gain=0.2)
    net.weight(root + 'start_conv2', (128, 128, 1))
    for i in range(14):
        for part, *shape in (
            ('filter_conv', 128, 128, 2),
            ('gate_conv', 128, 128, 2),
            ('residual_conv', 128, 128, 1),
            ('skip_conv', 256, 128, 1),
            ('cond_filter_conv', 128, 512, 1),
            ('cond_gate_conv', 128, 512, 1),
        ):
            net.weight(f'{root}residual_blocks.{i}.{part}', shape)
    for part, inputs in (('end_conv_1', 256), ('end_conv_2', 25)):
        net.weight(root + part, (25, inputs, 1))
    return net


def renderer(residual, ngf):
    """Feature2Face: recursive U-Net, 8 levels, `residual` blocks (1 normal, 2 large) on each side of each level."""
    net, widths = Layers(), [ngf * k for k in (1, 2, 4, 8, 8, 8, 8, 8)]

    def residual_blocks(root, index, channels):
        for i in range(index, index + residual):
            for conv, norm, gain in ((0, 1, 1.4), (3, 4, 0.6)):
                net.weight(f'{root}.{i}.block.{conv}', (channels, channels, 3, 3), gain, bias=False)
                net.batch_norm(f'{root}.{i}.block.{norm}', channels)
        return index + residual

    def level(root, depth, inputs):
        width, outer, inner = widths[depth], depth == 0, depth == 7
        net.weight(f'{root}.0', (width, inputs, 3, 3), 1.4 if not outer else 1.0, bias=False)
        middle = not outer and not inner
        if middle:
            net.batch_norm(f'{root}.1', width)
        index = residual_blocks(root, 2 + middle, width)  # after convolution, [BatchNorm,] activation
        if not inner:
            level(f'{root}.{index}.model', depth + 1, width)
        index += 1 if inner else 2  # submodule and nearest-neighbour upsampling
        outputs = 3 if outer else inputs
        net.weight(f'{root}.{index}', (outputs, width * (1 if inner else 2), 3, 3), 0.8 if outer else 1.0, bias=False)
        if not outer:
            net.batch_norm(f'{root}.{index + 1}', outputs)
            residual_blocks(root, index + 3, outputs)

    level('module.netG.model.model', 0, 13)
    return net


def state_dict(entries, seed, file):
    """Draw every tensor of one checkpoint."""
    out = {}
    for name, shape, low, high in entries:
        out[name] = np.array(1000, np.int64) if low is None else uniform(seed, f'{file}:{name}', shape, low, high)
    if file == 'Audio2Headpose':  # output rows: [0] mixture logit, [1:13] mean (x6 amplitude), [13:25] -ln sigma
        out['module.WaveNet.end_conv_2.weight'][1:7] *= np.float32(6)
        out['module.WaveNet.end_conv_2.weight'][13:] *= np.float32(0.25)
        out['module.WaveNet.end_conv_2.bias'][13:] += np.float32(0.5)
    if file == 'APC':  # mel input is all positive: opposite halves, so that it does not saturate the gates
        out['rnns.0.weight_ih_l0'][:, 40:] = -out['rnns.0.weight_ih_l0'][:, :40]
    if file == 'Audio2Feature':  # y of the inner lower / upper lip points: let the lips cross in some frames
        out['module.fc.6.bias'][[58, 61, 64]] += np.float32(0.02)
        out['module.fc.6.bias'][[67, 70, 73]] -= np.float32(0.02)
    if file == 'Feature2Face':  # the drawn lines are sparse: give their channel more weight
        out['module.netG.model.model.0.weight'][:, 0] *= np.float32(4)
    return out


def smoothed(seed, name, rows, columns, half=4):
    """(rows, columns) float64 noise in [-1, 1], triangular moving average of 2*half+1 taps in a fixed order."""
    white = uniform(seed, name, (rows + 2 * half, columns), -1, 1).astype(np.float64)
    total = sum((half + 1 - abs(k - half)) * white[k : k + rows] for k in range(2 * half + 1))
    return total / (half + 1) ** 2


def drawn_face():
    """(73, 3) schematic face, x right, y up, z towards the viewer, rounded to 1e-3."""

    def arc(count, cx, cy, rx, ry, start, stop, closed=False):
        t = np.linspace(start, stop, count, endpoint=not closed) * np.pi
        return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], 1)

    p = np.zeros((73, 3))
    p[:15, :2] = arc(15, 0, 0.1, 0.9, 1.05, 1, 2)  # contour
    p[15:21, :2], p[21:27, :2] = (
        arc(6, x, 0.52, 0.24, 0.06, a, a + 2, True) for x, a in ((-0.42, 1), (0.42, 0))
    )  # brows
    for order, x in (([27, 65, 28, 68, 29, 67, 30, 66], -0.4), ([33, 69, 32, 72, 31, 71, 34, 70], 0.4)):  # eyes
        p[order, :2] = arc(8, x, 0.3, 0.16, 0.075, 1, -1, True)
    p[35:44, :2] = arc(9, 0, 0.05, 0.17, 0.28, 0.85, 2.15)  # nose
    p[44, :2], p[45, :2], p[64, :2] = (0, 0.05), (0, -0.05), (0, -0.5)
    p[46:58, :2] = arc(12, 0, -0.5, 0.3, 0.13, 1, -1, True)  # outer lips, left over the top
    for order, a, b in (([63, 62, 61], 0.8, 0.2), ([58, 59, 60], 1.2, 1.8)):  # inner upper and lower, left to right
        p[order, :2] = arc(3, 0, -0.5, 0.17, 0.012, a, b)
    p[:, 2] = 0.3 - 0.5 * p[:, 0] ** 2 - 0.1 * p[:, 1] ** 2
    p[35:46, 2] += 0.2
    return np.round(p, 3)


def candidate(seed, j):
    """512x512x3 uint8 picture of 16x16-pixel tiles (robust against JPEG codec differences): ramp, face disc, noise."""
    y, x = np.mgrid[0:32, 0:32]
    tiles = np.stack([x * 5 + 40 * j, y * 6 + 20, (x + y) * 3 + 15 * j], -1)
    tiles[(x - 16) ** 2 * 2 + (y - 15) ** 2 < 150] = np.array([205, 160 - 12 * j, 130 + 10 * j])
    tiles = tiles + np.floor(uniform(seed, f'candidate{j}', (32, 32, 1), -20, 20)).astype(int)
    return np.repeat(np.repeat(np.clip(tiles, 0, 255).astype(np.uint8), 16, 0), 16, 1)


def person_arrays(seed, subject):
    """Arrays of the person folder, {file name: array or dict of arrays}."""
    tracked = (drawn_face() + 0.04 * smoothed(seed, 'tracked', FRAMES, 73 * 3).reshape(FRAMES, 73, 3)).astype(
        np.float32
    )
    mean = tracked.astype(np.float64).sum(0) / FRAMES
    mean[:16] += uniform(seed, 'contour_offset', (16, 3), -0.02, 0.02)  # stored mean differs on rows 0..15
    walk = np.cumsum(smoothed(seed, 'head', FRAMES, 6), 0) * 0.7
    trans = (np.array([4.0, -12.0, 980.0]) + walk[:, 3:])[:, :, None]
    rot = walk[:, :3] * 0.5
    rot[:, 0] = np.where(rot[:, 0] > 0, rot[:, 0] - 180, rot[:, 0] + 180)  # tracked x angles straddle +-180
    r = np.arange(9.0)
    base = np.concatenate([[-185 + 14 * r, 195 - 0.9 * r**2, 990 + r], [70 + 14 * r, 135 + 0.9 * r**2, 998 - r]], 1).T
    shoulders = base + walk[:, None, 3:] * 0.5
    pixels = np.stack([shoulders[..., k] / shoulders[..., 2] * 1200 + 256 for k in (0, 1)], -1)
    stream = f'database{subject["database"]}'
    database = 0.9 * smoothed(seed, stream, 2000, 512) + uniform(seed, stream + '_mean', (512,), -0.1, 0.1)
    return {
        'mean_pts3d.npy': mean.astype(np.float32),
        'tracked3D_normalized_pts_fix_contour.npy': tracked,
        '3d_fit_data.npz': {'trans': trans, 'rot_angles': rot, 'pts_3d': tracked},
        'id_scale.mat': {'scale': np.array([[105.0]]), 'id': uniform(seed, 'identity', (1, 80), -1, 1).astype(float)},
        'camera_intrinsic.npy': np.array([[1200.0, 0, 256], [0, 1200.0, 256], [0, 0, 1]]),
        'APC_feature_base.npy': database.astype(np.float32),
        'shoulder_points3D.npy': shoulders.astype(np.float32),
        'normalized_shoulder_points.npy': pixels.astype(np.float32),
        'change_paras.npz': {
            'scale': np.array(0.9),
            'xc': np.array(subject['centre'][0]),
            'yc': np.array(subject['centre'][1]),
        },
        'example.png': np.full((720, 1280, 3), 90, np.uint8),
    }


CONFIG = """model_params:
    APC: {{ckp_path: './data/APC_epoch_160.model', mel_dim: 80, hidden_size: 512, num_layers: 3, residual: false,
          use_LLE: 1, Knear: 10, LLE_percent: 1}}
    Audio2Mouth: {{ckp_path: './data/{id}/checkpoints/Audio2Feature.pkl', smooth: {smooth}, AMP: ['XYZ', {amp}, {amp},
                  {amp}]}}
    Headpose: {{ckp_path: './data/{id}/checkpoints/Audio2Headpose.pkl', sigma: 0.3, smooth: {head_smooth},
               AMP: {head_amp}, shoulder_AMP: 0.5}}
    Image2Image: {{ckp_path: './data/{id}/checkpoints/Feature2Face.pkl', size: '{size}', save_input: 1}}
dataset_params:
    root: './data/{id}/'
    fit_data_path: './data/{id}/3d_fit_data.npz'
    pts3d_path: './data/{id}/tracked3D_normalized_pts_fix_contour.npy'
"""


def sha(array):
    """sha256 of dtype, shape and bytes of one array."""
    a = np.ascontiguousarray(array)
    return hashlib.sha256(f'{a.dtype.str}{array.shape}'.encode() + a.tobytes()).hexdigest()


def write_release(out, kind, seed, ngf):
    """Write the folder and return its manifest {entry: sha256}."""
    subject = SUBJECTS[kind]
    data = out / 'data' / subject['id']
    for folder in (data / 'checkpoints', data / 'candidates', out / 'config'):
        folder.mkdir(parents=True, exist_ok=True)
    manifest = {}
    for file, path, entries in (
        ('APC', out / 'data' / 'APC_epoch_160.model', speech_encoder()),
        ('Audio2Feature', data / 'checkpoints/Audio2Feature.pkl', mouth_network()),
        ('Audio2Headpose', data / 'checkpoints/Audio2Headpose.pkl', head_network()),
        ('Feature2Face', data / 'checkpoints/Feature2Face.pkl', renderer(subject['residual'], ngf)),
    ):
        tensors = state_dict(entries, seed, file)
        manifest.update({f'{file}/{k}': sha(v) for k, v in tensors.items()})
        torch.save({k: torch.from_numpy(v) for k, v in tensors.items()}, path)
    for name, value in person_arrays(seed, subject).items():
        parts = value if isinstance(value, dict) else {'': value}
        manifest.update({f'{name}/{k}'.rstrip('/'): sha(v) for k, v in parts.items()})
        write = {
            '.npy': np.save,
            '.npz': lambda path, v: np.savez(path, **v),
            '.mat': scipy.io.savemat,
            '.png': lambda path, v: cv2.imwrite(str(path), v),
        }[Path(name).suffix]
        write(data / name, value)
    for j in range(4):
        picture, path = candidate(seed, j), data / 'candidates' / f'normalized_full_{j}.jpg'
        cv2.imwrite(str(path), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        manifest[f'pixels/{path.name}'] = sha(picture)
        manifest[f'decoded/{path.name}'] = sha(cv2.imread(str(path))[:, :, ::-1])
    (out / 'config' / f'{subject["id"]}.yaml').write_text(CONFIG.format(**subject, size=kind))
    (out / 'manifest.json').write_text(json.dumps(manifest, indent=0))
    return manifest


def digest(manifest):
    """One name for all arrays of a folder but the decoded pictures, which the JPEG codec has a share in."""
    fixed = {name: value for name, value in manifest.items() if not name.startswith('decoded/')}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]
