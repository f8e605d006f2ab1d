"""Eight-bit weights against the same networks in float32, on the built-in avatar and real speech."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lsp_ros.avatar.landmarks import MOUTH_OUTPUT
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.media.sound import read_audio
from lsp_ros.motion.head_pose_live import HeadPoseSampler
from lsp_ros.motion.mouth_live import MouthPredictor
from lsp_ros.openvino_graph import PRECISIONS
from lsp_ros.resources import find_sample
from lsp_ros.speech.apc_live import FeatureEncoder
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE

SECONDS, ROUND = 60, 15
"""The bundled recording of 14.5 s again and again: the recurrent state is never the same at its beginning. What adds
up in 7,200 steps, a hundred times what the networks remember, would show in the last round beside the first.
"""


@pytest.fixture(scope='module')
def avatar() -> Avatar:
    return Avatar.load(find_avatar('presenter'), parts=('speech', 'motion'))


@pytest.fixture(scope='module')
def heard(avatar) -> dict[str, np.ndarray]:
    """A minute of speech features (N, 1024), in each precision."""
    samples = np.resize(read_audio(find_sample()), SECONDS * SAMPLE_RATE)
    return {
        precision: SpeechStage(avatar, precision).push(samples).values.reshape(-1, 1024) for precision in PRECISIONS
    }


def does_not_grow(error: np.ndarray) -> bool:
    """The last round of the recording is no worse than the first, but for chance."""
    frames = ROUND * FRAME_RATE
    return error[-frames:].mean() < 1.2 * error[:frames].mean()


@pytest.mark.slow
def test_speech_features_stay_near_for_a_minute(heard):
    error = np.abs(heard['int8'] - heard['f32'])
    assert 0 < error.mean() < 0.002 and error.max() < 0.05
    assert does_not_grow(error)


@pytest.mark.slow
def test_the_mouth_stays_near_for_a_minute(avatar, heard):
    """The whole way: features and mouth in int8 against both in f32."""
    predictors = {precision: MouthPredictor(avatar.weights('mouth'), precision) for precision in PRECISIONS}
    said = [predictor.step(predictor.start(), heard[precision][None])[0] for precision, predictor in predictors.items()]
    unit = 1000 * avatar.camera.metres_per_unit * avatar.face.scale
    error = unit * np.linalg.norm((said[1] - said[0]).reshape(-1, len(MOUTH_OUTPUT), 3), axis=-1)
    assert 0 < error.mean() < 0.05 and np.percentile(error, 99) < 0.3 and error.max() < 1.5  # mm
    assert does_not_grow(error)


@pytest.mark.slow
def test_the_head_draws_from_nearly_the_same_distribution(avatar, heard):
    """Given the same past, over the whole recording: 5,400 numbers of the pose."""
    rows, scale = heard['f32'][: ROUND * FRAME_RATE], avatar.manifest.head_pose.noise_scale
    exact, fast = (HeadPoseSampler(avatar.weights('head_pose'), scale, precision=name) for name in ('f32', 'int8'))
    a, b = (sampler.start(rows[:1], seed=3) for sampler in (exact, fast))
    moved, widened = [], []
    for row in rows[:, None]:
        b.history = a.history
        (true_mean, true_n), (mean, n) = exact.step(a, row), fast.step(b, row)
        moved.append((mean - true_mean)[0, :6] / (np.exp(-true_n[0, :6]) * scale))
        widened.append((n - true_n)[0])
        a.history = true_mean + scale * np.exp(-true_n) * a.random.standard_normal(true_mean.shape)
    moved = np.array(moved)
    assert 0 < np.sqrt((moved**2).mean()) < 0.1 and np.abs(moved).max() < 0.5
    assert np.abs(widened).max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize('precision', PRECISIONS)
def test_a_stream_in_a_batch_says_what_it_says_alone(avatar, heard, precision):
    """To float32's rounding: for another number of rows the kernels may add up in another order, in which precision
    depends on the instruction set (int8 without AVX-512, f32 with it)."""
    features = np.stack([heard[precision][k * 1000 : k * 1000 + 20] for k in range(3)])
    mouth = MouthPredictor(avatar.weights('mouth'), precision)
    together = mouth.step(mouth.start(streams=3), features)
    np.testing.assert_allclose(together[1:2], mouth.step(mouth.start(), features[1:2]), atol=1e-5)
    head = HeadPoseSampler(avatar.weights('head_pose'), noise_scale=0, precision=precision)

    def poses(streams):
        state = head.start(features[streams, 0])
        return [head.sample(state, row) for row in features[streams].swapaxes(0, 1)]

    # A pose is computed from those before it, and inherits the rounding of each.
    for frames, (together, alone) in enumerate(zip(poses([0, 1, 2]), poses([1])), 1):
        np.testing.assert_allclose(together[1:2], alone, atol=1e-5 * frames)


@pytest.mark.parametrize('network', [FeatureEncoder, MouthPredictor, HeadPoseSampler])
def test_an_unknown_precision_is_refused(avatar, network):
    name = {FeatureEncoder: 'apc', MouthPredictor: 'mouth', HeadPoseSampler: 'head_pose'}[network]
    with pytest.raises(ValueError, match="'int4' is not one of f32, int8"):
        network(avatar.weights(name), precision='int4')


@pytest.mark.slow
def test_ctrl_c_is_safe_when_networks_are_gone():
    """In a process of its own, which would die: OpenVINO has a hand in how signals are handled."""
    program = """
import os, signal
import numpy as np
from lsp_ros.openvino_graph import Compiled
from lsp_ros.openvino_import import op, openvino

def build(streams):
    x = op.parameter([streams, 4], np.float32)
    return openvino.Model([op.result(op.relu(x))], [x], 'small')

came = []
signal.signal(signal.SIGINT, lambda *_: came.append(1))
for _ in range(3):
    networks = [Compiled(build) for _ in range(3)]
    while networks:
        networks.pop(0)
    os.kill(os.getpid(), signal.SIGINT)
print(len(came))
"""
    ran = subprocess.run([sys.executable, '-c', program], text=True, capture_output=True)
    assert (ran.returncode, ran.stdout) == (0, '3\n'), ran.stderr


@pytest.mark.slow
def test_a_cpu_with_avx2_alone_says_the_same(avatar):
    """OpenVINO's kernels are limited to it, in a process of their own."""
    program = f"""
import numpy as np
from lsp_ros.avatar.load import Avatar
from lsp_ros.motion.mouth_live import MouthPredictor
weights = Avatar.load({str(avatar.path)!r}, parts=('motion',)).weights('mouth')
features = np.random.default_rng(0).normal(0, 0.3, (1, 30, 1024)).astype(np.float32)
said = [(mouth := MouthPredictor(weights, precision)).step(mouth.start(), features) for precision in ('f32', 'int8')]
print(np.abs(said[1] - said[0]).max())
"""
    limited = {**os.environ, 'ONEDNN_MAX_CPU_ISA': 'AVX2'}
    printed = subprocess.run([sys.executable, '-c', program], env=limited, check=True, text=True, capture_output=True)
    assert 0 < float(printed.stdout) < 0.02  # of displacements near 0.2
