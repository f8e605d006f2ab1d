"""The paper's figures 8 and 9 as pictures: t-SNE of speech representations and of head poses (section 5.1)."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from lsp_ros.avatar.architecture import FEATURE_SIZE
from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation.playback import hear, move, with_projection
from lsp_ros.speech.manifold import Manifold

BLUE, RED, GREEN = (66, 114, 196), (208, 66, 58), (56, 158, 84)  # RGB
PALETTE = (BLUE, RED, GREEN, (240, 150, 30), (140, 90, 180), (20, 160, 170), (120, 120, 120), (215, 100, 160))
SPEECH_POINTS = 500
POSES = 30  # K-means centres of the training poses, as in the paper
SIDE, MARGIN, LEGEND, LINE = 640, 32, 34, 26
FINER = 4  # pictures are drawn larger and made smaller, for smooth edges


@dataclass(frozen=True)
class Group:
    """Points of one kind: (N, 2), a colour (RGB), and whether they are stars instead of dots."""

    name: str
    points: np.ndarray
    colour: tuple[int, int, int]
    star: bool = False


@dataclass(frozen=True)
class Target:
    """A person of figure 9: the poses that the avatar makes and those it learned from, (N, 6) degrees and cm."""

    name: str
    generated: np.ndarray
    training: np.ndarray


def embed(groups: list[np.ndarray], seed: int = 0) -> list[np.ndarray]:
    """t-SNE of all rows together: [(N, D), ...] -> [(N, 2), ...]. Ten rows are the least."""
    rows = np.concatenate(groups).astype(np.float32)
    perplexity = min(30.0, (len(rows) - 1) / 3)
    points = TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(rows)
    return np.split(points, np.cumsum([len(group) for group in groups])[:-1])


def nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) distance of each row to the nearest of ``others``."""
    return NearestNeighbors(n_neighbors=1).fit(others).kneighbors(rows)[0][:, 0]


def figure8(avatar: Avatar, samples: np.ndarray, seed: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """Figure 8 for a stranger's speech: the picture, and mean distances to the person's speech.

    Original features, the person's own (the manifold's rows, a second set of which is the line to compare
    with), and the originals projected onto them, 500 of each at random.
    """
    rng = np.random.default_rng(seed)
    heard = hear(with_projection(avatar, 0.0), samples)
    original = heard.values[np.asarray(heard.active, bool)].reshape(-1, FEATURE_SIZE)
    if len(original) < 10:
        raise ValueError('there is too little speech in this sound for a picture of its features')
    original = original[rng.permutation(len(original))[:SPEECH_POINTS]]
    rows = avatar.manifold()
    mixed = rng.permutation(len(rows))
    reconstructed = Manifold(rows, avatar.manifest.speech.neighbours).project(original)[0]
    target = rows[mixed[: min(SPEECH_POINTS, len(rows) // 2)]]
    others = rows[mixed[len(target) :]]
    names = ('original', 'target', 'reconstructed')
    points = embed([original, target, reconstructed], seed)
    groups = [Group(name, part, colour) for name, part, colour in zip(names, points, (BLUE, RED, GREEN), strict=True)]
    sets = {'original': original, 'target': target, 'reconstructed': reconstructed}
    return scatter([groups]), {f'{name}_to_target': float(nearest(rows, others).mean()) for name, rows in sets.items()}


def target_poses(avatar: Avatar, samples: np.ndarray, euler: np.ndarray, translation: np.ndarray) -> Target:
    """A person's part of figure 9: what the avatar does to this sound, beside the poses (N, 3) it learned from."""
    motion = move(avatar, hear(avatar, samples))
    cm = 100 * avatar.camera.metres_per_unit
    return Target(
        avatar.name,
        np.concatenate([motion.euler, cm * motion.translation], axis=1),
        np.concatenate([euler, cm * translation], axis=1),
    )


def figure9(targets: list[Target], seed: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """Figure 9: left the generated poses of each person, right with those of the training, K-means to 30 each;
    and how far generated poses are from the nearest of training, beside training poses from one another."""
    generated = [centres(target.generated, seed) for target in targets]
    training = [centres(target.training, seed) for target in targets]
    colours = [PALETTE[k % len(PALETTE)] for k in range(len(targets))]
    left = [
        Group(target.name, points, colour, star=True)
        for target, points, colour in zip(targets, embed(generated, seed), colours, strict=True)
    ]
    both = embed(generated + training, seed)
    right = [
        Group(f'{target.name}, generated', points, colour, star=True)
        for target, points, colour in zip(targets, both, colours)
    ]
    right += [
        Group(f'{target.name}, training', points, colour)
        for target, points, colour in zip(targets, both[len(targets) :], colours, strict=True)
    ]
    figures = {}
    for target, made, learned in zip(targets, generated, training, strict=True):
        between = NearestNeighbors(n_neighbors=2).fit(learned).kneighbors(learned)[0][:, 1]
        figures[target.name] = {
            'generated_to_training': float(nearest(made, learned).mean()),
            'training_to_training': float(between.mean()),
            'training_poses_covered': float(len(np.unique(nearest_index(made, learned))) / len(learned)),
        }
    return scatter([left, right]), figures


def nearest_index(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) index of the nearest of ``others`` for each row."""
    return NearestNeighbors(n_neighbors=1).fit(others).kneighbors(rows)[1][:, 0]


def centres(poses: np.ndarray, seed: int) -> np.ndarray:
    """(N, 6) poses -> at most 30 of K-means."""
    return KMeans(min(POSES, len(poses)), n_init=4, random_state=seed).fit(poses).cluster_centers_


def scatter(panels: list[list[Group]]) -> np.ndarray:
    """Panels side by side, each with its legend below: (H, W, 3) uint8 RGB."""
    lines = max(map(len, panels))
    pictures = []
    for groups in panels:
        canvas = np.full(((SIDE + LEGEND + LINE * lines) * FINER, SIDE * FINER, 3), 255, np.uint8)
        every = np.concatenate([group.points for group in groups])
        low, size = every.min(axis=0), np.maximum(np.ptp(every, axis=0), 1e-6)
        edge = MARGIN // 2 * FINER
        cv2.rectangle(canvas, (edge, edge), (SIDE * FINER - edge, SIDE * FINER - edge), (200, 200, 200), FINER)
        for number, group in enumerate(groups):
            for point in group.points:
                place = MARGIN + (point - low) / size * (SIDE - 2 * MARGIN)
                _mark(canvas, place, group)
            place = np.array([2 * MARGIN, SIDE + LEGEND / 2 + LINE * number])
            _mark(canvas, place, group)
            corner = (int(FINER * (place[0] + 14)), int(FINER * (place[1] + 6)))
            cv2.putText(
                canvas, group.name, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.55 * FINER, (40, 40, 40), FINER + 1, cv2.LINE_AA
            )
        pictures.append(cv2.resize(canvas, None, fx=1 / FINER, fy=1 / FINER, interpolation=cv2.INTER_AREA))
    return np.concatenate(pictures, axis=1)


def _mark(canvas: np.ndarray, place: np.ndarray, group: Group) -> None:
    centre = (FINER * place).round().astype(int)
    if not group.star:
        cv2.circle(canvas, tuple(map(int, centre)), int(3.2 * FINER), group.colour, -1, cv2.LINE_AA)
        return
    angle = np.pi * np.arange(10) / 5 - np.pi / 2
    radius = FINER * np.where(np.arange(10) % 2, 3.2, 8.0)
    corners = centre + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    cv2.fillPoly(canvas, [corners.round().astype(np.int32)], group.colour, cv2.LINE_AA)
