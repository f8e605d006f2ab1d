"""A face whose truth is known: as points for the tracking, as small films for the whole of `lsp create`."""

from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.capture import detector as flags
from lsp_ros.capture.landmarks import IRISES, MESH_POINTS, RIGID, RIGID_MIRROR, PictureDetections
from lsp_ros.geometry import project, to_camera

SIZE = (256, 192)
RATE = 25


@lru_cache
def template() -> np.ndarray:
    """(478, 3) cm in the head frame: the built-in avatar's landmarks, and a smooth face elsewhere."""
    rng = np.random.default_rng(0)
    mesh = np.zeros((478, 3))
    mesh[:, :2] = rng.uniform(-1, 1, (478, 2)) * [5, 7]
    for left, right in zip(RIGID, RIGID_MIRROR):
        mesh[right, :2] = mesh[left, :2] * [-1, 1] if left != right else mesh[left, :2] * [0, 1]
    mesh[:, 2] = 6 - 0.1 * mesh[:, 0] ** 2 - 0.06 * mesh[:, 1] ** 2
    mean = Avatar.load(find_avatar('presenter'), ('motion',)).face.mean_points
    symmetric = (mean + mirrored(mean)) / 2
    for points, place in zip(MESH_POINTS, symmetric):
        mesh[list(points)] = place
    mesh[list(IRISES)] = [[-3.15, 2.9, 0], [3.15, 2.9, 0]]
    return mesh


def mirrored(points: np.ndarray) -> np.ndarray:
    """(73, 3) landmarks of the mirror image."""
    order = [
        14,
        13,
        12,
        11,
        10,
        9,
        8,
        7,
        6,
        5,
        4,
        3,
        2,
        1,
        0,
        21,
        22,
        23,
        24,
        25,
        26,
        15,
        16,
        17,
        18,
        19,
        20,
        33,
        32,
        31,
        34,
        29,
        28,
        27,
        30,
        43,
        42,
        41,
        40,
        39,
        38,
        37,
        36,
        35,
        45,
        44,
        52,
        51,
        50,
        49,
        48,
        47,
        46,
        57,
        56,
        55,
        54,
        53,
        60,
        59,
        58,
        63,
        62,
        61,
        64,
        69,
        70,
        71,
        72,
        65,
        66,
        67,
        68,
    ]
    return points[order] * [-1, 1, 1]


LOWER_LIP = [k for row in (*range(4, 11), *range(53, 61)) for k in MESH_POINTS[row]]


def detected(euler: np.ndarray, translation: np.ndarray, opening: np.ndarray, matrix: np.ndarray, noise: float = 0.0):
    """What a detector with that noise (pixels) sees of N frames: (N, 478, 3); opening (N,) cm of the jaw."""
    meshes = np.repeat(template()[None], len(euler), axis=0)
    meshes[:, LOWER_LIP, 1] -= opening[:, None]
    camera = to_camera(meshes, euler, translation)
    scale = matrix[0, 0] / camera[..., 2].mean(axis=1, keepdims=True)
    depth = (camera[..., 2] - camera[..., 2].mean(axis=1, keepdims=True)) * scale
    seen = np.concatenate([project(camera, matrix), depth[..., None]], axis=-1)
    return seen + noise * np.random.default_rng(1).standard_normal(seen.shape)


# The film: three dots on a face and a patterned shirt, and a detector that knows what they mean.

DOTS = {'red': (255, 0, 0), 'green': (0, 255, 0), 'blue': (0, 0, 255)}
PLACES = np.array([[-3.15, 2.9], [3.15, 2.9], [0.0, -3.0]])  # in the template: the irises and the mouth
HAND, BACKGROUND, SKIN = (255, 0, 255), (90, 90, 90), (220, 190, 170)


def draw(x: float, y: float, hand: bool = False, face: bool = True) -> np.ndarray:
    """(192, 256, 3) RGB: a face whose middle is at (x, y), over a shirt that follows it by half."""
    width, height = SIZE
    image = np.full((height, width, 3), BACKGROUND, np.uint8)
    if not face:
        return image
    texture = cv2.resize(
        np.random.default_rng(3).integers(0, 120, (40, 110), np.uint8), (220, 80), interpolation=cv2.INTER_NEAREST
    )
    shift = np.float32([[1, 0, 18 + (x - width / 2) / 2], [0, 1, 132 + (y - 80) / 2]])
    shirt = cv2.warpAffine(texture, shift, (width, height), borderValue=255)
    image[shirt < 200] = np.stack([shirt, shirt // 2, shirt // 2 + 40], -1)[shirt < 200]
    scale = 5.0
    cv2.ellipse(
        image,
        (int(x * 16), int(y * 16)),
        (int(7 * scale * 16), int(9 * scale * 16)),
        0,
        0,
        360,
        SKIN,
        -1,
        cv2.LINE_AA,
        4,
    )
    for place, colour in zip(PLACES, DOTS.values()):
        at = np.round(np.array([x + scale * place[0], y - scale * place[1]]) * 16).astype(int)
        cv2.circle(image, tuple(int(v) for v in at), 3 * 16, colour, -1, cv2.LINE_AA, 4)
    if hand:
        cv2.circle(image, (int(x), int(y + 8)), 8, HAND, -1)
    return image


class DotDetector:
    """Reads the dots: the interface of ``lsp_ros.capture.landmarks.Detector``."""

    def __init__(self):
        self.seen = 0

    def see(self, image: np.ndarray, wanted: int = 0) -> PictureDetections:
        self.seen += 1
        step = 3  # every third pixel tells enough
        hue = image[step // 2 :: step, step // 2 :: step].astype(np.int16)
        rows, columns = np.mgrid[: hue.shape[0], : hue.shape[1]] * step + step / 2
        found = []
        for channel in range(3):
            others = np.delete(hue, channel, axis=2).max(axis=2)
            weight = np.clip(hue[..., channel] - others - 90, 0, None).astype(float)
            if weight.sum() < 200:
                return PictureDetections(
                    None, [], np.zeros((flags.MASK,) * 2, np.uint8) if wanted & flags.BODY else None
                )
            found.append([(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()])
        affine = np.linalg.solve(np.c_[PLACES, np.ones(3)], np.array(found))
        mesh = template()
        flat = mesh[:, :2] @ affine[:2] + affine[2]
        face = np.c_[flat, -mesh[:, 2] * affine[0, 0]].astype(np.float32)
        magenta = (hue[..., 0] > 180) & (hue[..., 2] > 180) & (hue[..., 1] < 90)
        hands = []
        if wanted & flags.HANDS and magenta.sum() > 5:
            hands = [np.tile(np.float32([columns[magenta].mean(), rows[magenta].mean()]), (21, 1))]
        body = None
        if wanted & flags.BODY:
            person = (np.abs(image.astype(np.int16) - BACKGROUND).max(axis=2) > 12).astype(np.uint8) * 255
            person = cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
            body = cv2.resize(person, (flags.MASK, flags.MASK), interpolation=cv2.INTER_AREA)
        return PictureDetections(face, hands, body)

    def close(self) -> None:
        pass


def path_of(seconds: np.ndarray) -> np.ndarray:
    """(N, 2) where the face's middle is at these times."""
    return np.stack([128 + 10 * np.sin(1.3 * seconds), 80 + 4 * np.sin(2.1 * seconds)], axis=-1)


def write_film(
    file: Path,
    times: np.ndarray,
    pictures: list[np.ndarray],
    sound: np.ndarray | None,
    sound_at: float = 0.0,
    rate: int = 16_000,
    codec: str = 'pcm_s16le',
) -> Path:
    """Pictures at any times (seconds, to the millisecond) and mono sound, if any, that begins ``sound_at`` seconds."""
    height, width = pictures[0].shape[:2]
    with av.open(str(file), 'w') as container:
        stream = container.add_stream('libx264', rate=1000)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv444p'
        stream.options = {'crf': '8', 'preset': 'ultrafast'}
        stream.codec_context.time_base = Fraction(1, 1000)
        if sound is not None:
            track = container.add_stream(codec, rate=rate)
            track.layout = 'mono'
        for seconds, picture in zip(times, pictures):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is None:
            return file
        kind = 's16' if codec.startswith('pcm') else 'fltp'
        samples = (sound * 32767).astype(np.int16) if kind == 's16' else sound.astype(np.float32)
        block = av.AudioFrame.from_ndarray(samples[None], format=kind, layout='mono')
        block.sample_rate, block.pts, block.time_base = rate, round(sound_at * rate), Fraction(1, rate)
        container.mux(track.encode(block))
        container.mux(track.encode(None))
    return file


def write_person(file: Path, seconds: float = 3.0, rate: float = RATE, seed: int = 0, **blanks) -> Path:
    """A film of the drawn person; ``face`` and ``hand`` are functions of time that say when there is one."""
    times = np.arange(0, seconds, 1 / rate)
    face, hand = blanks.get('face', lambda t: True), blanks.get('hand', lambda t: False)
    pictures = [draw(*path_of(t), hand=hand(t), face=face(t)) for t in times]
    rng = np.random.default_rng(seed)
    n = round(seconds * 16_000)
    sound = 0.001 * rng.standard_normal(n)
    loud = np.sin(2 * np.pi * np.arange(n) / 16_000) > 0
    sound[loud] += 0.2 * rng.standard_normal(int(loud.sum()))
    return write_film(file, times, pictures, sound.clip(-1, 1))
