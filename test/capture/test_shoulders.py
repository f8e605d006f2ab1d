"""Shoulders are found on a silhouette and followed without drift."""

import cv2
import numpy as np

from lsp_ros.capture.shoulders import ShoulderTracker, shoulder_lines, smooth, track_shoulders


def person() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture (512, 512, 3), silhouette (256, 256) and landmarks (73, 2) of a figure with sloping shoulders."""
    body = np.zeros((512, 512), np.uint8)
    cv2.ellipse(body, (256, 200), (80, 105), 0, 0, 360, 255, -1)
    cv2.rectangle(body, (215, 280), (297, 420), 255, -1)
    cv2.fillPoly(body, [np.array([[0, 440], [200, 370], [312, 370], [511, 440], [511, 511], [0, 511]])], 255)
    pattern = cv2.resize(
        np.random.default_rng(0).integers(30, 220, (128, 128), np.uint8), (512, 512), interpolation=cv2.INTER_CUBIC
    )
    image = np.where(body > 0, pattern, 128).astype(np.uint8)
    face = np.full((73, 2), 200.0)
    angle = np.linspace(np.pi, 0, 15)
    face[:15] = np.stack([256 + 80 * np.cos(angle), 200 + 105 * np.sin(angle)], axis=1)
    return np.repeat(image[..., None], 3, axis=2), cv2.resize(body, (256, 256), interpolation=cv2.INTER_AREA), face


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    return cv2.warpAffine(image, np.float32([[1, 0, x], [0, 1, y]]), (512, 512), borderMode=cv2.BORDER_REPLICATE)


def test_the_lines_lie_on_the_edge_of_the_body():
    _, body, face = person()
    lines = shoulder_lines(body, face)
    assert lines.shape == (18, 2)
    assert (np.diff(lines[:, 0]) > 0).all()  # from the left of the picture to the right
    left, right = lines[:9], lines[9:]
    on_edge = np.interp(left[:, 0], [0, 200], [440, 370]), np.interp(right[:, 0], [312, 511], [370, 440])
    outside = left[:, 0] < 190, right[:, 0] > 322
    assert np.abs(left[:, 1] - on_edge[0])[outside[0]].max() < 5
    assert np.abs(right[:, 1] - on_edge[1])[outside[1]].max() < 5


def test_a_picture_without_shoulders_has_no_lines():
    _, body, face = person()
    body[170:] = 0
    assert shoulder_lines(body, face) is None


def test_the_flow_does_not_drift():
    image, body, face = person()
    lines = shoulder_lines(body, face)
    seconds = np.arange(90) / 30
    path = np.stack([14 * np.sin(2 * seconds), 5 * np.sin(3 * seconds)], axis=1)
    noise = np.random.default_rng(1).normal(0, 4, image.shape).astype(np.float32)

    def pictures():
        for number, (x, y) in enumerate(path):
            noisy = moved(image, x, y) + np.roll(noise, 7 * number, axis=(0, 1))
            yield noisy.clip(0, 255).astype(np.uint8)

    followed, known = track_shoulders(pictures(), seconds, image, lines)
    assert known.all()
    off = np.linalg.norm(followed - (lines + path[:, None]), axis=-1)
    assert off.max() < 2 and off[-30:].mean() < 1


def test_shoulders_that_are_covered_for_long_are_not_known():
    image, body, face = person()
    seconds = np.arange(90) / 30
    covered = (seconds > 1) & (seconds < 2.9)
    pictures = (np.full_like(image, 128) if hidden else image for hidden in covered)
    followed, known = track_shoulders(pictures, seconds, image, shoulder_lines(body, face))
    assert known[seconds < 1.4].all() and not known[(seconds > 1.6) & (seconds < 2.3)].any()
    assert np.isfinite(followed).all()


def test_nothing_is_smoothed_or_filled_in_across_a_gap():
    """The person leaned over while nobody saw it; the first pictures after the gap are covered."""
    image, body, face = person()
    lines = shoulder_lines(body, face)
    seconds = np.concatenate([np.arange(30), 90 + np.arange(30)]) / 30
    moves = np.repeat([0, 20], 30)
    pictures = (np.full_like(image, 128) if 30 <= row < 33 else moved(image, x, 0) for row, x in enumerate(moves))
    followed, known = track_shoulders(pictures, seconds, image, lines, np.repeat([0, 1], 30))
    assert known.all()
    np.testing.assert_allclose((followed - lines)[..., 0].mean(axis=1), moves, atol=0.5)
    hidden = (np.full_like(image, 128) if row >= 30 else image for row in range(60))
    _, known = track_shoulders(hidden, np.arange(60) / 30, image, lines, np.repeat([0, 1], 30))
    assert known[:30].all() and not known[30:].any()  # what was seen in one stretch says nothing about another


def test_the_smoothing_knows_time():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.choice([1 / 60, 1 / 30, 0.1], 200))
    line = np.stack([3 * times, 5 - times], axis=1)
    np.testing.assert_allclose(smooth(line, times), line, atol=1e-9)
    noise = rng.normal(size=(200, 2))
    assert smooth(line + noise, times).std() > 0 and np.std(smooth(line + noise, times) - line) < 0.8
    np.testing.assert_array_equal(smooth(line[:1], times[:1]), line[:1])


def test_a_shoulder_that_cannot_be_seen_keeps_its_place():
    image, body, face = person()
    lines = shoulder_lines(body, face)
    tracker = ShoulderTracker(image, lines)
    points, seen = tracker.follow(moved(image, 6, 2))
    np.testing.assert_allclose(points, lines + [6, 2], atol=0.7)
    assert seen.all()
    kept, seen = tracker.follow(np.full_like(image, 128))
    assert not seen.any()
    np.testing.assert_array_equal(kept, points)
