"""How true `lsp create` tracks: the synthetic presenter, rendered, against its exact truth.

    python tools/capture_figures.py PRESENTER_FOLDER WORK_FOLDER [--drawing FILE]

Two measurements. The excerpt: the 180 consecutive pictures as a film with sound through the whole of `lsp create`,
judged on the 60 fps timeline. The stills: all pictures (many more poses), each tracked by itself, because they do not
follow one another. Both are also tracked with the true focal length. The head frames of truth and track differ by a
constant turn, shift and size (whatever one camera cannot know), which is taken out; so is, for the noise, each
landmark's mean offset: the detector learned from real faces where a landmark lies, and that is not where this face's
maker put it.
"""

import argparse
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

from lsp_ros.avatar.landmarks import BROWS, CONTOUR, EYES, FACE_LINES, MOUTH, MOUTH_OUTPUT, NOSE, lip_gap
from lsp_ros.capture.detector import FORGET
from lsp_ros.capture.landmarks import Detector, to_lsp73
from lsp_ros.capture.pipeline import Capture
from lsp_ros.capture.tracking import track
from lsp_ros.capture.work import CaptureConfig
from lsp_ros.geometry import project, to_camera
from lsp_ros.timeline import SAMPLE_RATE, frame_start


def write_film(presenter: Path, frames: list[int], file: Path) -> None:
    """Pictures (every second frame of the timeline) and their sound as a film of 30 pictures a second."""
    samples, _ = soundfile.read(presenter / 'audio.wav', dtype='int16')
    sound = samples[frame_start(frames[0]) : frame_start(frames[-1] + 2)]
    with av.open(str(file), 'w') as container:
        pictures = container.add_stream('libx264', rate=30)
        pictures.width = pictures.height = 512
        pictures.pix_fmt, pictures.options = 'yuv444p', {'crf': '10'}
        track_of_sound = container.add_stream('pcm_s16le', rate=SAMPLE_RATE)
        track_of_sound.layout = 'mono'
        for number, frame in enumerate(frames):
            image = cv2.imread(str(presenter / 'frames' / f'{frame:06d}.jpg'))
            picture = av.VideoFrame.from_ndarray(image, format='bgr24')
            picture.pts, picture.time_base = number, Fraction(1, 30)
            container.mux(pictures.encode(picture))
        block = av.AudioFrame.from_ndarray(sound[None], format='s16', layout='mono')
        block.sample_rate, block.pts = SAMPLE_RATE, 0
        container.mux(track_of_sound.encode(block))
        for stream in (pictures, track_of_sound):
            container.mux(stream.encode(None))


def compare(points, euler, translation, camera, truth, rows) -> dict[str, float]:
    """Figures of a track (N frames) against the truth's rows."""
    true_points, true_2d = truth['lm73_obj'][rows].astype(float), truth['lm73_2d'][rows]
    mean, true_mean = points.mean(axis=0), true_points.mean(axis=0)
    a, b = mean - mean.mean(axis=0), true_mean - true_mean.mean(axis=0)
    u, s, vt = np.linalg.svd(a.T @ b)
    turn, size = u @ vt, s.sum() / (a**2).sum()
    moved, true_moved = (points - mean) @ turn * size, true_points - true_mean
    seen = project(to_camera(points, euler, translation), camera.matrix)
    off = seen - true_2d
    noise = np.linalg.norm(off - off.mean(axis=0), axis=-1)
    angle = euler - truth['euler'][rows]
    angle = angle - np.median(angle, axis=0)
    place = translation * size - truth['t'][rows]
    place = place - np.median(place, axis=0)
    mouth = 10 * (moved - true_moved)[:, MOUTH_OUTPUT]
    gap, true_gap = 10 * lip_gap((points - mean.mean(axis=0)) @ turn * size), 10 * lip_gap(true_points)
    closed = true_gap < 0.3
    figures = {'focal length, error %': 100 * (camera.focal / truth['K'][0, 0] - 1)}
    groups = {'all 73': slice(None), 'contour': CONTOUR, 'brows': BROWS, 'nose': NOSE, 'eyes': EYES, 'mouth': MOUTH}
    for name, group in groups.items():
        figures[f'landmarks {name}, px: constant offset'] = np.linalg.norm(off[:, group].mean(axis=0), axis=-1).mean()
        figures[f'landmarks {name}, px: noise'] = noise[:, group].mean()
    for k, name in enumerate(('pitch', 'yaw', 'roll')):
        figures[f'{name}, mean error deg'] = np.abs(angle[:, k]).mean()
        figures[f'{name}, slope of measured over true'] = np.polyfit(truth['euler'][rows][:, k], euler[:, k], 1)[0]
    for k, name in enumerate('xyz'):
        figures[f'translation {name}, mean error mm'] = 10 * np.abs(place[:, k]).mean()
    for k, name in enumerate('xyz'):
        figures[f'mouth displacement {name}, rms error mm'] = np.sqrt((mouth[..., k] ** 2).mean())
    figures['mouth displacement, its own size mm'] = np.linalg.norm(10 * true_moved[:, MOUTH_OUTPUT], axis=-1).mean()
    if closed.any():
        figures['lip gap where lips meet, median mm'] = np.median(gap[closed])
        figures['lip gap where lips meet, 90 % below mm'] = np.percentile(gap[closed], 90)
    figures['lip gap, slope of measured over true'] = np.polyfit(true_gap, gap, 1)[0]
    return figures


def draw_scheme(presenter: Path, file: Path) -> None:
    """The 73 points as they are detected on one picture with the mouth open, with their numbers."""
    with np.load(presenter / 'timeline.npz') as stored:
        opening, turned = stored['aperture'], np.abs(stored['euler']).max(axis=1)
    files = [file for file in (presenter / 'frames').glob('*.jpg') if turned[int(file.stem)] < 3]
    image = cv2.imread(str(max(files, key=lambda file: opening[int(file.stem)])))
    with Detector() as detector:
        points = to_lsp73(detector.see(image[..., ::-1]).face)[:, :2]
    left, top = np.floor(points.min(axis=0)) - [30, 25]
    right, bottom = np.ceil(points.max(axis=0)) + [30, 25]
    scale = 4.0
    shift = np.float32([[scale, 0, -left * scale], [0, scale, -top * scale]])
    size = int((right - left) * scale), int((bottom - top) * scale)
    canvas = cv2.warpAffine(image, shift, size, flags=cv2.INTER_CUBIC) // 2 + 110
    places = (points - [left, top]) * scale
    for line in FACE_LINES:
        cv2.polylines(canvas, [np.round(places[list(line)]).astype(np.int32)], False, (60, 140, 60), 1, cv2.LINE_AA)
    for number, (x, y) in enumerate(places):
        cv2.circle(canvas, (round(x), round(y)), 3, (0, 0, 200), -1, cv2.LINE_AA)
        cv2.putText(
            canvas, str(number), (round(x) + 4, round(y) - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA
        )
    cv2.imwrite(str(file), canvas, [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('presenter', type=Path)
    parser.add_argument('work', type=Path)
    parser.add_argument('--drawing', type=Path, help='only draw the landmark scheme into this file')
    arguments = parser.parse_args()
    if arguments.drawing:
        return draw_scheme(arguments.presenter, arguments.drawing)
    presenter, work = arguments.presenter, arguments.work
    work.mkdir(parents=True, exist_ok=True)
    with np.load(presenter / 'timeline.npz') as stored:
        truth = {name: stored[name] for name in ('lm73_obj', 'lm73_2d', 'euler', 't', 'K', 'shoulder_2d')}
    excerpt = sorted(json.loads((presenter / 'split.json').read_text())['val'])
    film = work / 'excerpt.mkv'
    if not film.is_file():
        write_film(presenter, excerpt, film)
    columns = {}
    for name, focal in (('excerpt', None), ('excerpt, true focal length', float(truth['K'][0, 0]))):
        folder = work / ('searched' if focal is None else 'given')
        with Capture([film], folder, CaptureConfig('excerpt', focal=focal, synthetic=True), Detector, None) as capture:
            result = capture.run()
        known = np.flatnonzero(result.known)
        # The crop may be smaller than the picture: the truth stays in its own pixels.
        crop = result.crop
        figures = compare(
            result.tracks['points'][known],
            result.tracks['euler'][known],
            result.tracks['translation'][known],
            unscaled(result.track.camera, crop),
            truth,
            known + excerpt[0],
        )
        pixels = result.takes[0].shoulders / crop.scale + [crop.left, crop.top]
        true = truth['shoulder_2d'][excerpt]
        drift = np.linalg.norm((pixels - pixels[0]) - (true - true[0]), axis=-1)
        figures['shoulders, mean error of motion px'] = drift.mean()
        figures['shoulders, largest error of motion px'] = drift.max()
        columns[name] = figures
    files = sorted((presenter / 'frames').glob('*.jpg'))
    store = work / 'stills.npy'
    if not store.is_file():
        with Detector() as detector:
            faces = []
            for file in files:
                image = cv2.imread(str(file))[..., ::-1]
                detector.see(image, FORGET)
                faces.append(detector.see(image).face)  # as in a film, where the picture before showed where to look
        np.save(store, np.array(faces))
    faces, rows = np.load(store), np.array([int(file.stem) for file in files])
    for name, focal in (('stills', None), ('stills, true focal length', float(truth['K'][0, 0]))):
        found = track(faces, np.arange(len(faces)) / 30, np.arange(len(faces)), (256, 256), focal)
        columns[name] = compare(found.points, found.euler, found.translation, found.camera, truth, rows)
    print('| | ' + ' | '.join(columns) + ' |')
    print('|---' * (len(columns) + 1) + '|')
    for row in dict.fromkeys(name for figures in columns.values() for name in figures):
        cells = [f'{figures[row]:.2f}' if row in figures else '' for figures in columns.values()]
        print(f'| {row} | ' + ' | '.join(cells) + ' |')


def unscaled(camera, crop):
    """The camera of the crop as the camera of the source picture."""
    centre = camera.centre[0] / crop.scale + crop.left, camera.centre[1] / crop.scale + crop.top
    return type(camera)(camera.focal / crop.scale, centre)


if __name__ == '__main__':
    main()
