"""Films in, a dataset folder out; interrupted anywhere, nothing is done twice and nothing half-written is trusted."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import synthetic_face as synthetic
import yaml
from synthetic_dataset import write_synthetic

from lsp_ros.avatar.avatar import Avatar, find_avatar
from lsp_ros.capture import assemble, create, kept, learn, take
from lsp_ros.capture.consent import check
from lsp_ros.capture.create import Capture, CaptureError, Settings
from lsp_ros.capture.report import write_report
from lsp_ros.cli.main import main
from lsp_ros.rendering.camera import project, to_camera
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE
from lsp_ros.training import build, quantize
from lsp_ros.training.dataset import load_dataset, runs

SETTINGS = Settings('somebody', source='drawn', focal=550.0)  # a search takes seconds and has tests of its own
GONE, HAND = (0.8, 1.0), (2.0, 2.1)  # seconds of the first film


def films(folder: Path) -> list[Path]:
    first = synthetic.write_person(folder / 'a.mkv', 3.2, face=lambda t: not GONE[0] <= t < GONE[1],
                                   hand=lambda t: HAND[0] <= t < HAND[1])
    return [first, synthetic.write_person(folder / 'b.mkv', 1.2, seed=1)]


def run(videos: list[Path], folder: Path, detector=synthetic.DotDetector, **more):
    with Capture(videos, folder, more.pop('settings', SETTINGS), detector, more.pop('consent', None)) as capture:
        return capture.run()


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('create')
    videos = films(folder)
    return videos, folder, run(videos, folder / 'out')


def digest(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.rglob('*')) if file.is_file()}


def test_the_dataset_shows_what_was_filmed(made):
    videos, folder, result = made
    data = load_dataset(folder / 'out' / 'dataset')
    assert data.name == 'somebody' and data.manifest['person'] == {'kind': 'real', 'consent': None}
    frames = list(data.pictures)
    assert len(frames) > 30
    points = to_camera(data.points[frames], data.euler[frames], data.translation[frames])
    irises = project(points, data.camera_matrix)[:, [27, 29, 31, 33]].mean(axis=1)
    for frame, seen in zip(frames, irises):
        picture = cv2.imread(str(data.pictures[frame])).astype(int)
        middle = []
        for channel in (2, 1):  # the red and the green dot are the irises
            others = np.delete(picture, channel, axis=2).max(axis=2)
            weight = np.clip(picture[..., channel] - others - 90, 0, None)
            middle.append(weight.sum(axis=0) @ np.arange(0.5, 512) / weight.sum())
        assert abs(np.mean(middle) - seen[0]) < 4


def test_clips_are_not_joined_across_a_gap(made):
    _, _, result = made
    data = load_dataset(result.capture.folder / 'dataset')
    known = runs(data.known_mask)
    seconds = [(first / FRAME_RATE, stop / FRAME_RATE) for first, stop in known]
    assert len(known) == 4
    (_, before), (after, covered), (seen_again, _), (second_film, _) = seconds
    assert before <= GONE[0] + 0.02 and after >= GONE[1] - 0.02
    assert covered <= HAND[0] + 0.02 and seen_again >= HAND[1] - 0.02
    assert second_film == pytest.approx(3.2 + assemble.PAUSE / FRAME_RATE, abs=0.02)
    unknown = ~data.known_mask
    assert not any(unknown[frame] for frame in data.pictures)
    assert {take.REASONS[take.NO_FACE], take.REASONS[take.HAND]} <= set(result.counts())


def test_the_sound_is_where_its_pictures_are(made):
    videos, _, result = made
    data = load_dataset(result.capture.folder / 'dataset')
    samples = data.read_audio()
    second = result.takes[1].start * SAMPLE_RATE // FRAME_RATE
    loud = np.abs(samples[second:]) > 0.05  # the film's voice is heard in its first half of each second
    assert loud[: SAMPLE_RATE // 2].mean() > 0.5 and loud[SAMPLE_RATE * 5 // 8 : SAMPLE_RATE * 7 // 8].mean() < 0.01
    assert np.abs(samples[second - 3000 : second - 100]).max() > 0  # the room, not digital silence


def test_the_shoulders_follow_by_half(made):
    _, _, result = made
    data = load_dataset(result.capture.folder / 'dataset')
    pixels = project(data.shoulders, data.camera_matrix)
    first, stop = runs(data.known_mask)[0]
    path = synthetic.path_of(np.arange(first, stop) / FRAME_RATE) * result.crop.scale / 2
    off = (pixels[first:stop] - pixels[first]) - (path - path[0])[:, None]
    assert np.abs(off).mean() < 1.5


def test_a_second_run_sees_nothing_again(made):
    videos, folder, _ = made
    before = digest(folder / 'out')

    def detector():
        raise AssertionError('the detector was started')

    run(videos, folder / 'out', detector)
    assert digest(folder / 'out') == before


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import synthetic_face
from lsp_ros.capture.create import Capture, Settings

class Dying(synthetic_face.DotDetector):
    def see(self, *arguments):
        if self.seen == {after}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().see(*arguments)

with Capture({videos!r}, Path({out!r}), Settings('somebody', source='drawn', focal=550.0), Dying, None) as capture:
    capture.run()
"""


def test_a_killed_run_goes_on_where_it_was(made, tmp_path, monkeypatch):
    videos, folder, whole = made
    monkeypatch.setattr(create, 'PIECE', 20)  # so that some pieces are finished before the end comes
    out = tmp_path / 'out'
    program = KILLED.format(tests=str(Path(synthetic.__file__).parent), after=60, out=str(out),
                            videos=[str(video) for video in videos])
    program = program.replace('from lsp_ros.capture.create import Capture, Settings',
                              'from lsp_ros.capture.create import Capture, Settings\n'
                              'import lsp_ros.capture.create as create\ncreate.PIECE = 20')
    ended = subprocess.run([sys.executable, '-c', program], cwd=Path(create.__file__).parents[2], timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert not (out / 'dataset').exists()
    finished = list((out / 'capture').glob('see-*/[0-9]*.npz'))
    assert finished
    seen = []

    class Counting(synthetic.DotDetector):
        def close(self):
            seen.append(self.seen)

    run(videos, out, Counting)
    pictures = sum(len(take.clip.times) for take in whole.takes)
    assert seen[0] == pictures - 20 * len(finished)
    assert digest(out / 'dataset') == digest(folder / 'out' / 'dataset')


def test_a_damaged_or_foreign_result_is_made_again(made, tmp_path):
    videos, folder, _ = made
    out = tmp_path / 'out'
    shutil.copytree(folder / 'out', out)
    pieces = sorted((out / 'capture').glob('see-*/*.npz'))
    data = pieces[0].read_bytes()
    pieces[0].write_bytes(data[: len(data) // 2])
    pieces[1].write_bytes(b'x' * 1000)
    with np.load(out / 'capture' / 'track.npz') as stored:
        arrays = {name: stored[name] for name in stored.files if name != 'key'}
    kept.keep(out / 'capture' / 'track.npz', 'another key', **{**arrays, 'points': arrays['points'] + 50})
    for file in (out / 'capture').glob('shoulders-*.npz'):
        file.unlink()
    shutil.rmtree(out / 'dataset')
    run(videos, out)
    assert digest(out / 'dataset') == digest(folder / 'out' / 'dataset')


def test_a_dataset_that_is_not_what_the_steps_now_say_is_written_again(made, tmp_path):
    videos, folder, _ = made
    out = tmp_path / 'out'
    shutil.copytree(folder / 'out', out)
    for file in (out / 'capture').glob('shoulders-*.npz'):
        with np.load(file) as stored:
            kept.keep(file, str(stored['key']), points=stored['points'] + 20)
    run(videos, out)
    moved = load_dataset(out / 'dataset').shoulders - load_dataset(folder / 'out' / 'dataset').shoulders
    assert (moved[..., :2] > 0).all()


def test_what_was_agreed_goes_with_the_dataset(made, tmp_path):
    videos, folder, _ = made
    out, agreement = tmp_path / 'out', tmp_path / 'consent.yaml'
    shutil.copytree(folder / 'out', out)
    agreement.write_text('{who: Ada, purpose: a test, until: null, means: a word}')
    run(videos, out, consent=agreement)
    consent = load_dataset(out / 'dataset').manifest['person']['consent']
    check(out / 'dataset' / 'consent.json', consent,
          {video.name: hashlib.sha256(video.read_bytes()).hexdigest() for video in videos})


def test_the_report_says_what_was_left_out_and_what_to_record_again(made, tmp_path):
    _, _, result = made
    figures = write_report(result, tmp_path / 'report.html')
    page = (tmp_path / 'report.html').read_text()
    for text in ('UNCONSENTED', 'no face was found', 'a hand was over the face', 'record 3 to 5 minutes', '<svg'):
        assert text in page
    assert page.count('<img') >= 12
    assert figures['known minutes'] == pytest.approx(result.known.sum() / 3600)
    assert os.listdir(tmp_path) == ['report.html']


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(['create', str(tmp_path / 'no.mp4'), '--name', 'ada', '-o', str(tmp_path / 'out')]) == 2
    assert 'no.mp4: there is no such file' in capsys.readouterr().err
    assert main(['create', 'x.mp4', '--name', '../ada']) == 2
    assert 'letters, digits' in capsys.readouterr().err
    assert main(['create', 'x.mp4', '--name', 'ada', '--synthetic', '--consent', 'x.yaml']) == 2
    assert 'exclude one another' in capsys.readouterr().err


def test_a_network_of_the_built_in_avatar_takes_the_place_of_a_trained_one(tmp_path):
    teacher = Avatar.load(find_avatar(learn.TEACHER), ('speech', 'motion'))
    for network in ('apc', 'head_pose'):
        learn.give(teacher, network, tmp_path)
        weights = build.trained(tmp_path, network)
        assert set(weights) == set(teacher.weights(network))
        for name, value in teacher.weights(network).items():
            np.testing.assert_array_equal(weights[name].numpy(), value.astype(weights[name].numpy().dtype))


def test_eight_seconds_become_an_avatar(tmp_path, monkeypatch):
    pytest.importorskip('nncf')
    monkeypatch.setattr(quantize, 'CALIBRATION_MAPS', 4)
    monkeypatch.setattr(quantize, 'TRIAL_MAPS', 2)
    data = write_synthetic(tmp_path / 'nobody', seconds=8.0, pictures=10)
    monkeypatch.setattr(quantize, 'find_sample', lambda: data / 'audio.wav')
    told = []
    learn.learn(data, tmp_path / 'runs', tmp_path / 'avatar', minutes=1e-3, tell=told.append)
    avatar, teacher = Avatar.load(tmp_path / 'avatar'), Avatar.load(find_avatar(learn.TEACHER))
    weight = 'lstm.weight_hh_l0'
    assert not np.array_equal(avatar.weights('mouth')[weight], teacher.weights('mouth')[weight])
    np.testing.assert_allclose(avatar.weights('mouth')[weight], teacher.weights('mouth')[weight], atol=0.02)
    assert 'it moves as presenter does' in told[0] and 'renderer in 8 bits' in told[-1]
    assert avatar.int8_renderer() is not None

    manifest = yaml.safe_load((data / 'dataset.yaml').read_text())
    (data / 'dataset.yaml').write_text(yaml.safe_dump({**manifest, 'split': {'held_out': [[0, 60]]}}))
    with pytest.raises(ValueError, match='has begun to learn from other footage'):
        learn.learn(data, tmp_path / 'runs', tmp_path / 'avatar', minutes=1e-3)


def test_footage_without_a_face_is_refused_in_one_sentence(tmp_path):
    film = synthetic.write_person(tmp_path / 'empty.mkv', 1.0, face=lambda t: False)
    with pytest.raises(CaptureError, match='empty.mkv: no face was found'):
        run([film], tmp_path / 'out')


def test_a_video_that_is_held_out_teaches_nothing_and_chooses_nothing(made, tmp_path):
    videos, folder, whole = made
    out = tmp_path / 'out'
    shutil.copytree(folder / 'out', out)
    run(videos, out, settings=replace(SETTINGS, held_out=(videos[0],)))
    data, second = load_dataset(out / 'dataset'), whole.takes[1]
    assert data.held_out == ((0, second.start),)
    learned = data.training_time | data.validation_time
    assert (np.flatnonzero(learned) >= second.start).all() and learned[second.start :].all()
    assert data.training_mask.any() and data.validation_mask.any()
    judging, learning = data.validation_pictures(), data.training_pictures()
    assert judging and learning and min(judging + learning) >= second.start and not set(judging) & set(learning)
    with pytest.raises(CaptureError, match='a.mkv: is to be held out, but is not one of the videos'):
        run(videos[1:], tmp_path / 'no', settings=replace(SETTINGS, held_out=(videos[0],)))
    with pytest.raises(CaptureError, match='nothing is left to learn from'):
        run(videos, tmp_path / 'no', settings=replace(SETTINGS, held_out=tuple(videos)))


def test_the_same_video_twice_is_refused(made, tmp_path):
    videos, _, _ = made
    with pytest.raises(CaptureError, match='given twice'):
        run([videos[1], videos[1]], tmp_path / 'out')
