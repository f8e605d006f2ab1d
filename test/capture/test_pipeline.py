"""Films in, a dataset folder out; interrupted anywhere, nothing is done twice and nothing half-written is trusted."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import synthetic_face as synthetic
import yaml

from lsp_ros import storage
from lsp_ros.avatar.architecture import PICTURE, POSE_RECEPTIVE_FIELD
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.capture import assemble, detection, pipeline, quality_figures, quality_report, take
from lsp_ros.capture import detector as flags
from lsp_ros.capture.consent import check
from lsp_ros.capture.pipeline import Capture
from lsp_ros.capture.quality_report import write_report
from lsp_ros.capture.video import sharpness
from lsp_ros.capture.work import CaptureConfig, CaptureError, Progress
from lsp_ros.cli.main import main
from lsp_ros.geometry import project, to_camera
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE
from lsp_ros.training import fine_tune
from lsp_ros.training.candidates import choose_candidates
from lsp_ros.training.dataset import load_dataset, runs
from lsp_ros.training.head_pose import HeadPoseTrainingConfig
from lsp_ros.training.pictures import training_pictures

pytestmark = pytest.mark.slow

CONFIG = CaptureConfig('somebody', source='drawn', focal=550.0)  # a search takes seconds and has tests of its own
GONE, HAND = (0.8, 1.0), (2.0, 2.1)  # seconds of the first film


def films(folder: Path) -> list[Path]:
    first = synthetic.write_person(
        folder / 'a.mkv', 3.2, face=lambda t: not GONE[0] <= t < GONE[1], hand=lambda t: HAND[0] <= t < HAND[1]
    )
    return [first, synthetic.write_person(folder / 'b.mkv', 1.2, seed=1)]


def run(videos: list[Path], folder: Path, detector=synthetic.DotDetector, **more):
    with Capture(videos, folder, more.pop('config', CONFIG), detector, more.pop('consent', None)) as capture:
        return capture.run()


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('create')
    videos = films(folder)
    return videos, folder, run(videos, folder / 'out')


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob('*'))
        if file.is_file()
    }


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
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import synthetic_face
from lsp_ros.capture import detection, pipeline, work

detection.PIECE = 20  # so that some pieces are finished before the end comes

class Dying(work.Progress):
    def __init__(self):
        super().__init__(self.began, self.told)

    def began(self, name):
        self.name = name

    def told(self, share):
        if self.name.startswith({step!r}) and share > 0.1:
            os.kill(os.getpid(), {how})

with pipeline.Capture({videos!r}, Path({out!r}), work.CaptureConfig('somebody', source='drawn', focal=550.0),
                    synthetic_face.DotDetector, None, Dying()) as capture:
    capture.run()
"""


@pytest.mark.parametrize(
    'step,how',
    [
        *((step, signal.SIGKILL) for step in ('look', 'see', 'track', 'shoulders', 'dataset')),
        ('see', signal.SIGINT),
        ('dataset', signal.SIGINT),
    ],
)
def test_a_run_that_was_ended_in_any_step_goes_on_where_it_was(made, tmp_path, monkeypatch, step, how):
    videos, folder, _ = made
    monkeypatch.setattr(detection, 'PIECE', 20)
    out = tmp_path / 'out'
    program = KILLED.format(
        tests=str(Path(synthetic.__file__).parent),
        step=step,
        how=int(how),
        out=str(out),
        videos=[str(video) for video in videos],
    )
    ended = subprocess.run(
        [sys.executable, '-c', program], cwd=Path(pipeline.__file__).parents[2], timeout=120, stderr=subprocess.DEVNULL
    )
    assert ended.returncode == -how
    assert not (out / 'dataset').exists()
    finished = {file: file.stat().st_mtime_ns for file in (out / 'capture').rglob('[!.]*.npz')}
    done = {'look': 0, 'see': 3, 'track': 8, 'shoulders': 9, 'dataset': 11}[step]
    assert len(finished) >= done
    run(videos, out)
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    assert digest(out / 'dataset') == digest(folder / 'out' / 'dataset')
    assert sorted(file.name for file in out.iterdir()) == ['capture', 'dataset']


class Settling(synthetic.DotDetector):
    """Errs in the first four pictures of a crop that it sees after it began anew, as a detector does that looks where
    it last saw the face."""

    def see(self, image, wanted=0):
        sight = super().see(image, wanted)
        self.age = 0 if wanted & flags.FORGET else self.age + 1
        if sight.face is not None and len(image) == PICTURE:
            sight.face[:, :2] += (3, 2, 1, 0.5, 0)[min(self.age, 4)]
        return sight


def test_no_landmark_depends_on_where_the_work_was_cut_into_pieces(made, tmp_path, monkeypatch):
    videos, _, whole = made
    monkeypatch.setattr(detection, 'PIECE', 20)
    result = run(videos, tmp_path / 'out', Settling)
    for one, other in zip(result.takes, whole.takes):
        np.testing.assert_array_equal(one.seen.faces, other.seen.faces)


def test_a_dataset_is_whole_or_not_there_when_another_takes_its_place(made, tmp_path, monkeypatch):
    videos, folder, _ = made
    out, other = tmp_path / 'out', replace(CONFIG, focal=600.0)
    shutil.copytree(folder / 'out', out)
    delete = shutil.rmtree

    def ends_half_way(path, **how):
        for file in sorted(Path(path).rglob('*.jpg'))[:10]:
            file.unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.shutil, 'rmtree', ends_half_way)
    with pytest.raises(KeyboardInterrupt):
        run(videos, out, config=other)
    monkeypatch.setattr(storage.shutil, 'rmtree', delete)
    for config in (CONFIG, other):
        run(videos, out, config=config)
        run(videos, tmp_path / 'anew', config=config)
        assert digest(out / 'dataset') == digest(tmp_path / 'anew' / 'dataset')


@pytest.mark.parametrize('x,y,flicker', [(14, 4, 0), (5, 0, 0), (5, 0, 2)])
def test_nothing_is_interpolated_across_a_cut_within_one_scene(tmp_path, x, y, flicker):
    """Words were taken out of the middle: nothing but the head has moved, and where the lamps flicker, nothing but its
    leap tells."""
    times = np.arange(75) / synthetic.RATE
    light = flicker * (-1) ** np.arange(75)
    pictures = [
        (synthetic.draw(*(synthetic.path_of(t) + (t >= 1.2) * np.array([x, y]))).astype(int) + bright)
        .clip(0, 255)
        .astype(np.uint8)
        for t, bright in zip(times, light)
    ]
    film = synthetic.write_film(tmp_path / 'film.mkv', times, pictures, np.zeros(3 * SAMPLE_RATE))
    result = run([film], tmp_path / 'out')
    assert result.takes[0].clip.cuts == (() if flicker else (30,)) and result.takes[0].leaps == (30,)
    (_, before), (after, _) = runs(result.known)
    assert (before - 1) / FRAME_RATE <= times[29] and after / FRAME_RATE >= times[30]
    assert not any(before <= frame < after for frame in result.shown)
    # Up to the cut and from it on, head and shoulders are where the film of that part alone would have them.
    scale, matrix = result.crop.scale, result.track.camera.matrix
    frames = np.r_[before - 6 : before, after : after + 6]
    centre = project(
        to_camera(np.zeros((len(frames), 1, 3)), result.tracks['euler'][frames], result.tracks['translation'][frames]),
        matrix,
    )[:, 0]
    seconds = frames / FRAME_RATE
    true = scale * (synthetic.path_of(seconds) + (seconds >= 1.2)[:, None] * np.array([x, y]))
    off = centre - true
    np.testing.assert_allclose(off, np.broadcast_to(off.mean(axis=0), off.shape), atol=1.0)
    shoulders = project(result.tracks['shoulders'][frames], matrix)
    moved = shoulders.mean(axis=1) - true / 2
    np.testing.assert_allclose(moved[:6], np.broadcast_to(moved[:6].mean(axis=0), (6, 2)), atol=0.7)
    np.testing.assert_allclose(moved[6:], np.broadcast_to(moved[6:].mean(axis=0), (6, 2)), atol=0.7)


def test_a_video_that_is_too_short_is_left_out_with_a_sentence(made, tmp_path):
    videos, _, _ = made
    blink = synthetic.write_film(tmp_path / 'blink.mkv', np.zeros(1), [synthetic.draw(128, 80)], np.zeros(1600))
    with pytest.raises(CaptureError, match='blink.mkv: is 0.00 s long'):
        run([blink], tmp_path / 'alone')
    result = run([blink, videos[0]], tmp_path / 'out')
    assert len(result.takes) == 1 and 'blink.mkv: is 0.00 s long' in result.capture.left_out[0]


def test_videos_of_one_name_are_told_apart(made, tmp_path):
    videos, _, _ = made
    agreement = tmp_path / 'consent.yaml'
    agreement.write_text('{who: Ada, purpose: a test, until: null, means: a word}')
    films = [tmp_path / day / 'clip.mkv' for day in ('monday', 'tuesday')]
    for source, film in zip(videos, films):
        film.parent.mkdir()
        shutil.copy(source, film)
    run(films, tmp_path / 'out', config=replace(CONFIG, source=None), consent=agreement)
    data = load_dataset(tmp_path / 'out' / 'dataset')
    digests = {f'{film.parent.name}/clip.mkv': hashlib.sha256(film.read_bytes()).hexdigest() for film in films}
    assert data.manifest['capture']['videos'] == digests
    assert data.manifest['source'] == 'monday/clip.mkv, tuesday/clip.mkv'
    check(data.path / 'consent.json', data.manifest['person']['consent'], digests)


def test_what_is_wrong_with_a_file_is_said_before_all_files_are_looked_at(made, tmp_path):
    videos, _, _ = made

    def detector():
        raise AssertionError('the detector was started')

    mute = synthetic.write_film(tmp_path / 'mute.mkv', np.arange(3) / 25, [synthetic.draw(128, 80)] * 3, None)
    with pytest.raises(CaptureError, match='mute.mkv: has no sound track'):
        run([mute], tmp_path / 'mute', detector)
    small = synthetic.write_film(
        tmp_path / 'small.mkv', np.arange(3) / 25, [synthetic.draw(128, 80)[:96]] * 3, np.zeros(2000)
    )
    with pytest.raises(CaptureError, match='different sizes .256x96, 256x192.'):
        run([videos[0], small], tmp_path / 'small', detector)


def test_every_step_tells_how_far_it_is(made, tmp_path, monkeypatch):
    videos, _, _ = made
    monkeypatch.setattr(detection, 'PIECE', 20)
    told: dict[str, list[float]] = {}
    progress = Progress(
        lambda name: told.setdefault(name.split(':')[0], []), lambda share: list(told.values())[-1].append(share)
    )
    with Capture(videos, tmp_path / 'out', CONFIG, synthetic.DotDetector, None, progress) as capture:
        capture.run()
    assert list(told) == ['look', 'see', 'track', 'shoulders', 'dataset']
    for step, shares in told.items():
        assert shares == sorted(shares) and shares[0] >= 0
        assert shares[-1] == pytest.approx(0.95 if step == 'track' else 1, abs=0.06)
        if step in ('look', 'see', 'shoulders'):
            assert len(shares) > 4 and shares[0] < 0.25  # also within the first video


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
    storage.store_arrays(out / 'capture' / 'track.npz', 'another key', **{**arrays, 'points': arrays['points'] + 50})
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
            storage.store_arrays(file, str(stored['key']), points=stored['points'] + 20)
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
    check(
        out / 'dataset' / 'consent.json',
        consent,
        {video.name: hashlib.sha256(video.read_bytes()).hexdigest() for video in videos},
    )


class Tags(HTMLParser):
    """All tags and all text of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.text = set(), ''
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags |= {tag, *(name for name, _ in attributes)}

    def handle_data(self, data):
        self.text += data


def test_the_report_says_what_was_left_out_and_what_to_record_again(made, tmp_path):
    _, _, result = made
    figures = write_report(result, tmp_path / 'report.html')
    page = (tmp_path / 'report.html').read_text()
    for text in (
        'UNCONSENTED',
        'no face was found',
        'a hand was over the face',
        'record 3 to 5 minutes',
        '<svg',
        'a.mkv 00:00.8 to 00:01.0: no face was found',
        'Keep the hands down',
    ):
        assert text in page
    assert page.count('<img') >= 12
    assert figures['known minutes'] == pytest.approx(result.known.sum() / 3600)
    assert os.listdir(tmp_path) == ['report.html']


def test_the_report_judges_every_figure(made):
    _, _, result = made
    good = {
        line.name: line.good
        for line in quality_figures.judge(
            quality_figures.measure(result, load_dataset(result.capture.folder / 'dataset'))
        )
    }
    assert good['voice above the noise of the room'] and good['tracking error'] and good['clipped sound']
    assert not good['footage that can be used'] and not good['longest stretch without a gap']
    assert not good['width of the head in the video']
    least = (POSE_RECEPTIVE_FIELD + HeadPoseTrainingConfig().look_ahead + fine_tune.FEWEST_POSES) / FRAME_RATE
    assert quality_figures.LONG_RUN == pytest.approx(least, abs=0.01)
    assert set(quality_figures.REMEDIES) == set(take.REASONS)


def test_a_film_that_is_nowhere_in_focus_is_not_called_good(made):
    """Compared with itself such a film has no blurred picture."""
    _, _, result = made
    figures = quality_figures.measure(result, load_dataset(result.capture.folder / 'dataset'))
    for face in Avatar.load(find_avatar('presenter'), ('rendering',)).candidates():
        for blur, good in ((None, True), (1.5, False)):
            image = face if blur is None else cv2.GaussianBlur(face, (0, 0), blur)
            seen = {**figures, 'sharpness': sharpness(image, np.array([150, 120, 360, 400]))}
            (line,) = (line for line in quality_figures.judge(seen) if line.name == 'sharpness of the face')
            assert line.good == good and (line.remedy in quality_figures.advice([line], result)) != good


def test_a_long_list_of_gaps_says_how_many_more_there_are(made, tmp_path, monkeypatch):
    _, _, result = made
    monkeypatch.setattr(quality_report, 'LISTED', 2)
    write_report(result, tmp_path / 'report.html')
    states = [take.state for take in result.takes]
    gaps = sum(len(runs(state == code)) for state in states for code in take.REASONS)
    assert f'... and {gaps - 2} more.' in (tmp_path / 'report.html').read_text()


def test_the_report_shows_the_candidate_images_of_the_training(made, tmp_path):
    """Also where a video is held out: its pictures are not among them."""
    videos, folder, _ = made
    out = tmp_path / 'out'
    shutil.copytree(folder / 'out', out)
    result = run(videos, out, config=replace(CONFIG, held_out=(videos[0],)))
    write_report(result, tmp_path / 'report.html')
    page = (tmp_path / 'report.html').read_text()
    shown = page[page.index('Candidate images') : page.index('Coverage')]
    data = load_dataset(out / 'dataset')
    frames = training_pictures(data)
    chosen = [frames[row] for row in choose_candidates(data.points[frames], data.euler[frames])]
    assert shown.count('<img') == 4
    assert [quality_report.moment(result, frame) in shown for frame in chosen] == [True] * 4
    assert 'a.mkv' not in shown and 'b.mkv 00:0' in shown


def test_what_others_wrote_is_text_in_the_report(made, tmp_path):
    videos, _, result = made
    write_report(result, tmp_path / 'plain.html')
    plain = Tags((tmp_path / 'plain.html').read_text())
    evil = '<script>alert(1)<img onerror=x>'
    film = tmp_path / f'{evil}.mkv'
    shutil.copy(videos[0], film)
    blink = synthetic.write_film(tmp_path / f'{evil}2.mkv', np.zeros(1), [synthetic.draw(128, 80)], np.zeros(1600))
    (tmp_path / 'consent.yaml').write_text(yaml.safe_dump({'who': evil, 'purpose': evil, 'until': None, 'means': evil}))
    result = run([film, blink], tmp_path / 'out', config=replace(CONFIG, name=evil), consent=tmp_path / 'consent.yaml')
    write_report(result, tmp_path / 'report.html')
    page = Tags((tmp_path / 'report.html').read_text())
    assert page.tags <= plain.tags
    assert f'Capture of {evil}' in page.text and f'{evil} agreed to: {evil}' in page.text
    assert f'{evil}.mkv 00:0' in page.text and f'{evil}2.mkv: is 0.00 s long' in page.text


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(['create', str(tmp_path / 'no.mp4'), '--name', 'ada', '-o', str(tmp_path / 'out')]) == 2
    assert 'no.mp4: there is no such file' in capsys.readouterr().err
    assert main(['create', 'x.mp4', '--name', '../ada']) == 2
    assert 'letters, digits' in capsys.readouterr().err
    assert main(['create', 'x.mp4', '--name', 'ada', '--synthetic', '--consent', 'x.yaml']) == 2
    assert 'exclude one another' in capsys.readouterr().err


def test_footage_without_a_face_is_refused_in_one_sentence(tmp_path):
    film = synthetic.write_person(tmp_path / 'empty.mkv', 1.0, face=lambda t: False)
    with pytest.raises(CaptureError, match='empty.mkv: no face was found'):
        run([film], tmp_path / 'out')


def test_a_video_that_is_held_out_teaches_nothing_and_chooses_nothing(made, tmp_path):
    videos, folder, whole = made
    out = tmp_path / 'out'
    shutil.copytree(folder / 'out', out)
    run(videos, out, config=replace(CONFIG, held_out=(videos[0],)))
    data, second = load_dataset(out / 'dataset'), whole.takes[1]
    assert data.held_out == ((0, second.start),)
    learned = data.training_time | data.validation_time
    assert (np.flatnonzero(learned) >= second.start).all() and learned[second.start :].all()
    assert data.training_mask.any() and data.validation_mask.any()
    judging, learning = data.validation_pictures(), data.training_pictures()
    assert judging and learning and min(judging + learning) >= second.start and not set(judging) & set(learning)
    with pytest.raises(CaptureError, match='a.mkv: is to be held out, but is not one of the videos'):
        run(videos[1:], tmp_path / 'no', config=replace(CONFIG, held_out=(videos[0],)))
    with pytest.raises(CaptureError, match='nothing is left to learn from'):
        run(videos, tmp_path / 'no', config=replace(CONFIG, held_out=tuple(videos)))


def test_the_same_video_twice_is_refused(made, tmp_path):
    videos, _, _ = made
    with pytest.raises(CaptureError, match='given twice'):
        run([videos[1], videos[1]], tmp_path / 'out')
