"""What everything before the picture costs, part by part, beside the same network in PyTorch as it comes.

One 60 fps frame at a time, as live, on one thread, in each precision that a network can have. Its reference is its
``nn.Module`` in eager float32 on one thread; how far they are from one another is told.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from lsp_ros import timeline
from lsp_ros.avatar.architecture import FEATURE_SIZE, MEL_BANDS, POSE_RECEPTIVE_FIELD, POSE_STATE
from lsp_ros.avatar.load import Avatar
from lsp_ros.benchmark.timing import take_turns
from lsp_ros.motion.footage import Footage
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.head_pose_live import HeadPoseSampler
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.motion.mouth_live import MouthPredictor
from lsp_ros.motion.stage import MotionStage
from lsp_ros.openvino_graph import PRECISIONS
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import FaceMotion, SpeechFeatures
from lsp_ros.speech import mel
from lsp_ros.speech.apc import APC
from lsp_ros.speech.apc_live import FeatureEncoder
from lsp_ros.speech.manifold import Manifold
from lsp_ros.speech.stage import SpeechStage

STAGES = ('mel', 'apc', 'projection', 'speech', 'mouth', 'head-pose', 'eyes', 'motion', 'drawing')
WHOLE = ('speech', 'motion', 'drawing')
"""What a frame passes through on its way to the renderer; the others are parts of these."""
FRAMES, WARM_UP = 600, 60
TURN = 30
"""Frames between a part and its reference: weights stay in the cache within a turn, for both alike.

The first three or so of a turn find nothing there and take twice the time: they are most of what p95 and p99 tell.
"""
COMPARED_FRAMES = 8
LIVE = 'int8'
"""The precision of the networks that runs live."""

Step = Callable[[int], object]


@dataclass
class Part:
    """How to make a part anew in each precision, and its reference: steps that are called with the frame's number.

    Steps return what they computed; ``note`` says what the reference is or why there is none. A part without
    networks has one form, ''.
    """

    name: str
    label: str
    make: Mapping[str, Callable[[], Step]]
    reference: Callable[[], Step] | None = None
    note: str = ''


def measure_stages(
    avatar: Avatar,
    samples: np.ndarray,
    names: Sequence[str] = STAGES,
    frames: int = FRAMES,
    warm_up: int = WARM_UP,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """A row of figures for each part named and each of its precisions: milliseconds of processor time a frame.

    ``samples`` (n,) float32 speech at 16 kHz, repeated as often as needed.
    """
    with one_thread():
        for part in parts(avatar, samples, names, max(warm_up + frames, COMPARED_FRAMES)):
            contenders = {precision: make() for precision, make in part.make.items()}
            if part.reference:
                contenders['reference'] = part.reference()
            # Of all threads: a library may compute in one of its own.
            taken = take_turns(contenders, frames, warm_up, TURN, time.process_time, tick)
            for precision in part.make:
                row = {
                    'stage': part.name,
                    'part': part.label,
                    'precision': precision,
                    'note': part.note,
                    'live': precision in ('', LIVE),
                    'ours': taken[precision],
                }
                if part.reference:
                    row |= {
                        'reference': taken['reference'],
                        'difference': difference(part, precision),
                        'ratio': taken['reference']['median'] / taken[precision]['median'],
                    }
                yield row


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, without gradients, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def difference(part: Part, precision: str) -> float:
    """The largest difference between a part and its reference over the first frames."""
    if part.reference is None:
        raise ValueError(f'{part.label} has no reference')
    ours, reference = part.make[precision](), part.reference()
    return max(
        float(np.abs(np.asarray(ours(frame)) - np.asarray(reference(frame))).max()) for frame in range(COMPARED_FRAMES)
    )


def parts(avatar: Avatar, samples: np.ndarray, names: Sequence[str], frames: int) -> Iterator[Part]:
    """The parts named, in the order of a frame's way, with what each of them needs as input for that many frames."""
    samples = np.resize(samples, timeline.frame_start(frames + 1) + SpeechStage.look_ahead).astype(np.float32)
    features = SpeechFeatures.whole([SpeechStage(avatar).push(samples)])
    rows = features.values.reshape(len(features), 1, -1)
    moved = MotionStage(avatar, seed=1)
    motion = FaceMotion.whole([moved.push(features), moved.flush()])
    makers = {
        'mel': lambda: mel_part(samples),
        'apc': lambda: apc_part(avatar, samples),
        'projection': lambda: projection_part(avatar, samples),
        'speech': lambda: Part(
            'speech',
            'speech stage, whole',
            in_each_precision(lambda precision: speech_step(avatar, samples, precision)),
        ),
        'mouth': lambda: mouth_part(avatar, rows),
        'head-pose': lambda: head_pose_part(avatar, rows),
        'eyes': lambda: Part(
            'eyes',
            'eyes and brows',
            {'': lambda: Footage(avatar.face.eyes, avatar.face.brows).at},
            note='replayed footage',
        ),
        'motion': lambda: Part(
            'motion',
            'motion stage, whole',
            in_each_precision(lambda precision: motion_step(avatar, features, precision)),
        ),
        'drawing': lambda: Part(
            'drawing', 'camera projection and feature map', {'': lambda: draw_step(avatar, motion)}, note='no network'
        ),
    }
    for name in STAGES:
        if name in names:
            yield makers[name]()


def in_each_precision(make: Callable[[str], Step]) -> dict[str, Callable[[], Step]]:
    """What runs live comes first."""
    return {
        precision: partial(make, precision) for precision in sorted(PRECISIONS, key=lambda precision: precision != LIVE)
    }


def some_motion(avatar: Avatar, samples: np.ndarray, frames: int = 32) -> FaceMotion:
    """So many frames of the avatar's motion in the middle of some speech."""
    heard = SpeechStage(avatar).push(np.resize(samples, 10 * timeline.SAMPLE_RATE).astype(np.float32))
    motion = FaceMotion.whole([MotionStage(avatar, seed=1).push(SpeechFeatures.whole([heard]))])
    return motion[len(motion) // 2 : len(motion) // 2 + frames]


def eager(network: torch.nn.Module, weights: dict[str, np.ndarray]) -> torch.nn.Module:
    network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return network.float().eval()


def mel_part(samples: np.ndarray) -> Part:
    def starts(frame: int) -> np.ndarray:
        return np.array([timeline.feature_start(2 * frame), timeline.feature_start(2 * frame + 1)])

    def reference() -> Step:
        audio, taps = torch.tensor(samples), torch.tensor(mel.TAPS)
        window, bank = torch.tensor(mel.HANN, dtype=torch.float32), torch.tensor(mel.BANK, dtype=torch.float32)
        floor = float(np.log(mel.FLOOR))

        def step(frame: int) -> torch.Tensor:
            segments = audio[torch.tensor(starts(frame))[:, None] + taps] * window
            log = torch.log((torch.fft.rfft(segments, mel.FFT_SIZE).abs() @ bank).clamp_min(mel.FLOOR))
            return (log - floor) / -floor

        return step

    return Part(
        'mel',
        'log mel spectrogram',
        {'': lambda: lambda frame: mel.mel_frames(samples, starts(frame))},
        reference,
        'the same formula in torch',
    )


def apc_part(avatar: Avatar, samples: np.ndarray) -> Part:
    rows = mel.log_mel(samples).reshape(-1, timeline.FEATURES_PER_FRAME, MEL_BANDS)
    weights = avatar.weights('apc')

    def make(precision: str) -> Step:
        encoder = FeatureEncoder(weights, precision)
        state = encoder.start()
        return lambda frame: encoder.step(state, rows[frame][None])[0]

    def reference() -> Step:
        network, given, state = eager(APC(), weights), torch.tensor(rows), None

        def step(frame: int) -> torch.Tensor:
            nonlocal state
            features, state = network(given[frame][None], state)
            return features[0]

        return step

    return Part('apc', 'APC', in_each_precision(make), reference, 'GRU, state carried')


def projection_part(avatar: Avatar, samples: np.ndarray) -> Part:
    manifold = Manifold(avatar.manifold(), avatar.manifest.speech.neighbours)
    encoder = FeatureEncoder(avatar.weights('apc'))
    rows = mel.log_mel(samples).reshape(-1, timeline.FEATURES_PER_FRAME, MEL_BANDS)
    features = encoder.step(encoder.start(), rows.reshape(1, -1, MEL_BANDS)).reshape(*rows.shape[:2], FEATURE_SIZE)
    used = '' if avatar.manifest.speech.projection else ', off in this avatar'
    return Part(
        'projection',
        f'manifold projection ({len(manifold.rows)} rows{used})',
        {'': lambda: lambda frame: manifold.project(features[frame])[0]},
        note='a search, no network',
    )


def speech_step(avatar: Avatar, samples: np.ndarray, precision: str) -> Step:
    stage = SpeechStage(avatar, precision)

    def end(frame: int) -> int:
        """The first sample at which the frame is whole, as the audio source ends its chunks."""
        return -(-(frame + 1) * timeline.SAMPLE_RATE // timeline.FRAME_RATE) + stage.look_ahead

    return lambda frame: stage.push(samples[end(frame - 1) if frame else 0 : end(frame)])


def mouth_part(avatar: Avatar, rows: np.ndarray) -> Part:
    weights = avatar.weights('mouth')

    def make(precision: str) -> Step:
        predictor = MouthPredictor(weights, precision)
        state = predictor.start()
        return lambda frame: predictor.step(state, rows[frame][None])

    def reference() -> Step:
        network, given, state = eager(MouthNet(), weights), torch.tensor(rows), None

        def step(frame: int) -> torch.Tensor:
            nonlocal state
            displacements, state = network(given[frame][None], state)
            return displacements

        return step

    return Part('mouth', 'mouth network', in_each_precision(make), reference, 'LSTM, state carried')


def head_pose_part(avatar: Avatar, rows: np.ndarray) -> Part:
    weights = avatar.weights('head_pose')
    silent = np.zeros((1, POSE_STATE))

    def make(precision: str) -> Step:
        sampler = HeadPoseSampler(weights, precision=precision)
        state = sampler.start(rows[0])
        return lambda frame: sampler.sample(state, rows[frame], silent)

    def reference() -> Step:
        network = eager(HeadPoseNet(), weights)
        window = POSE_RECEPTIVE_FIELD + 1  # the network shifts its poses by one frame
        heard = torch.tensor(np.repeat(rows[:1], window, axis=1))  # the first frame, for ever
        given, poses = torch.tensor(rows), torch.zeros(1, window, POSE_STATE)

        def step(frame: int) -> torch.Tensor:
            nonlocal heard, poses
            heard = torch.cat([heard[:, 1:], given[frame][None]], dim=1)
            mean = network(poses, heard)[0][:, -1:]
            # Its last row stands for the pose that is asked for: it is not looked at.
            poses = torch.cat([poses[:, 1:-1], mean, mean], dim=1)
            return mean[:, 0]

        return step

    return Part(
        'head-pose',
        'head pose: conditioning, network, sample',
        in_each_precision(make),
        reference,
        f'its {POSE_RECEPTIVE_FIELD} frames of history computed anew in every frame',
    )


def motion_step(avatar: Avatar, features: SpeechFeatures, precision: str) -> Step:
    stage = MotionStage(avatar, seed=1, precision=precision)
    return lambda frame: stage.push(features[frame : frame + 1])


def draw_step(avatar: Avatar, motion: FaceMotion) -> Step:
    stage, blocks = RenderStage(avatar, engine=None), [motion[frame : frame + 1] for frame in range(len(motion))]
    return lambda frame: stage.feature_maps(blocks[frame])
