import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.speech.apc import APC
from lsp_ros.speech.mel import log_mel
from lsp_ros.speech.stage import SpeechStage

SAMPLES = 9_731


@pytest.fixture(scope='module')
def stage(tiny_avatar):
    return SpeechStage(Avatar.load(tiny_avatar, parts=('speech',)))


@pytest.fixture(scope='module')
def audio():
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(SAMPLES) * (np.arange(SAMPLES) % 4000 < 2500)).astype(np.float32)


@pytest.fixture(scope='module')
def whole(stage, audio):
    return join(run(stage, [audio]))


def run(stage, chunks):
    stage.reset()
    blocks = [stage.push(chunk) for chunk in chunks] + [stage.flush()]
    return [block for block in blocks if block is not None]


def join(blocks):
    names = ('values', 'level_db', 'active')
    return {name: np.concatenate([getattr(block, name) for block in blocks]) for name in names}


def test_apc_has_the_published_size():
    assert sum(p.numel() for p in APC().parameters()) == 4_064_256


def test_a_clip_gives_its_whole_video_frames(whole):
    frames = timeline.frames_in(SAMPLES)
    assert whole['values'].shape == (frames, 2, 512)
    assert whole['values'].dtype == np.float32
    assert whole['level_db'].shape == whole['active'].shape == (frames,)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, SAMPLES), max_size=12))
def test_any_chunking_gives_the_same_features(stage, audio, whole, cuts):
    bounds = [0, *sorted(cuts), SAMPLES]
    blocks = run(stage, [audio[a:b] for a, b in pairwise(bounds)])
    assert all(a.first_frame + len(a) == b.first_frame for a, b in pairwise(blocks))
    for name, value in join(blocks).items():
        np.testing.assert_allclose(value, whole[name], atol=2e-4)


def test_sample_by_sample_a_frame_comes_out_as_soon_as_its_look_ahead_is_in(stage, audio):
    stage.reset()
    for position in range(1, 2000):
        block = stage.push(audio[position - 1 : position])
        if block is not None:
            assert len(block) == 1
            assert position - timeline.frame_start(block.first_frame + 1) in (66, 67, 68)
    assert stage.look_ahead == 67


def test_features_are_the_projected_apc_of_the_mel(tiny_avatar, audio):
    avatar = Avatar.load(tiny_avatar, parts=('speech',))
    whole = join(run(SpeechStage(avatar, precision='f32'), [audio]))
    apc = APC().eval()
    apc.load_state_dict({k: torch.from_numpy(v) for k, v in avatar.weights('apc').items()})
    with torch.inference_mode():
        features = apc(torch.from_numpy(log_mel(audio))[None])[0][0].numpy()
    rows = avatar.manifold().astype(np.float64)
    frame = 20
    nearest = np.argsort(((rows - features[frame]) ** 2).sum(axis=1))[:10]
    first, others = rows[nearest[0]], rows[nearest[1:]]
    weights = np.linalg.lstsq((others - first).T, features[frame] - first, rcond=None)[0]
    np.testing.assert_allclose(whole['values'].reshape(-1, 512)[frame], first + weights @ (others - first), atol=1e-4)


def test_where_nothing_is_projected_the_manifold_is_not_read(tiny_avatar, tmp_path, audio):
    folder = tmp_path / 'avatar'
    shutil.copytree(tiny_avatar, folder)
    manifest = yaml.safe_load((folder / 'avatar.yaml').read_text())
    manifest['speech']['projection'] = 0.0
    (folder / 'avatar.yaml').write_text(yaml.safe_dump(manifest))
    avatar = Avatar.load(folder)
    (folder / 'manifold.npy').unlink()
    assert len(SpeechStage(avatar).push(audio))


def test_reset_and_flush_forget_the_stream(stage, audio, whole):
    stage.push(audio[:5000])
    np.testing.assert_allclose(join(run(stage, [audio]))['values'], whole['values'], atol=2e-4)
    np.testing.assert_allclose(join(run(stage, [audio]))['values'], whole['values'], atol=2e-4)


def test_an_empty_clip_gives_nothing(stage):
    assert run(stage, []) == []
    assert run(stage, [np.zeros(0, np.float32)]) == []


@pytest.mark.parametrize(
    'chunk, message',
    [
        (np.zeros((10, 2), np.float32), r'\(10, 2\)'),
        (np.zeros(10, np.int16), 'int16'),
        (np.array([0, np.nan, np.inf], np.float32), '2 values that are not finite'),
        (np.array([0, 1e300, -1e39], np.float64), '2 values that are not finite'),
    ],
)
def test_a_bad_chunk_is_refused_and_the_stream_goes_on(stage, audio, whole, chunk, message):
    stage.reset()
    blocks = [stage.push(audio[:3000])]
    with pytest.raises(ValueError, match=message):
        stage.push(chunk)
    blocks += [stage.push(audio[3000:]), stage.flush()]
    np.testing.assert_allclose(join([b for b in blocks if b is not None])['values'], whole['values'], atol=2e-4)
