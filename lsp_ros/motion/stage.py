"""Stage 2 of the paper: speech features in, everything that moves out (sections 3.2 and 3.3)."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from lsp_ros.avatar.architecture import FEATURE_SIZE
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.motion.eye_track import EYES_AND_BROWS, EyeMotion, EyeTrack
from lsp_ros.motion.filters import GaussianSmoother, LowPass, WholeClip
from lsp_ros.motion.footage import Footage, Posture
from lsp_ros.motion.head_pose_live import HeadPoseSampler
from lsp_ros.motion.head_track import DrawnPoses, HeadMotion, HeadTrack
from lsp_ros.motion.lips import join_lips
from lsp_ros.motion.mouth_live import MouthPredictor
from lsp_ros.motion.mouth_track import MouthMotion, MouthTrack
from lsp_ros.motion.pose_limits import PoseLimits
from lsp_ros.signals import FaceMotion, HeadPoseCommand, SpeechFeatures
from lsp_ros.streaming import Streaming
from lsp_ros.timeline import FEATURES_PER_FRAME

LARGEST_FEATURE = 1e4  # real ones are near -1..1; what is far larger would overflow and stay in the LSTM for ever
BLOCK_FRAMES = 240  # a long push is worked off in pieces, so that memory stays small


@dataclass(frozen=True)
class MotionForm:
    """What is done to what the networks say. Made anew for each stage: filters remember.

    mouth_smoothing  of displacements (N, 75)
    head_smoothing   of poses (..., 6), degrees and units
    limits           of the head
    join_lips        of whole faces (N, 73, 3); None: lips may cross
    finish           of the whole motion; None: it comes out as it is
    """

    mouth_smoothing: Streaming[np.ndarray, np.ndarray, Any]
    head_smoothing: LowPass
    limits: PoseLimits
    join_lips: Callable[[np.ndarray], np.ndarray] | None
    finish: WholeClip[FaceMotion] | None = None


def live_form(avatar: Avatar) -> MotionForm:
    """Filters that do not wait, lips that never cross, a head in its trained range."""
    manifest = avatar.manifest
    return MotionForm(
        GaussianSmoother(manifest.mouth.smoothing),
        LowPass(per_axis(manifest.head_pose.smoothing)),
        PoseLimits.of(avatar.pose_range),
        partial(join_lips, seal=manifest.mouth.seal),
    )


def per_axis(rotation_and_translation: tuple[float, float]) -> np.ndarray:
    """A number for rotation and one for translation -> (6,) one for each number of a pose."""
    return np.repeat(np.asarray(rotation_and_translation, float), 3)


@dataclass
class MotionState:
    """What the stage remembers of its stream, apart from its tracks."""

    next_in: int | None = None
    next_out: int = 0
    speaking: deque[bool] = field(default_factory=deque)  # of the frames that have come in and not gone out
    silent: np.ndarray = field(default_factory=lambda: np.zeros((FEATURES_PER_FRAME, FEATURE_SIZE), np.float32))


class MotionStage(Streaming[SpeechFeatures, FaceMotion | None, MotionState]):
    """Speech features of one stream -> face motion, frame by frame: mouth, head and eyes put together.

    ``seed`` makes the head motion and, unless 0, the places where the footage of eyes and of posture begins.
    ``idle_amplitude`` scales how much head, eyes and brows move while nobody speaks: 1 as in speech, 0 not at all.
    ``precision`` of the networks, int8 or f32 (:mod:`lsp_ros.openvino_graph`). ``form`` says what is done to what the
    networks say: as it is done live, or as in a film (:mod:`lsp_ros.motion.clip`).
    Raises AvatarError for an avatar that does not fit and ValueError for other arguments.
    """

    def __init__(
        self,
        avatar: Avatar,
        seed: int = 0,
        idle_amplitude: float = 1.0,
        precision: str = 'int8',
        form: Callable[[Avatar], MotionForm] = live_form,
    ) -> None:
        _check_idle_amplitude(idle_amplitude)
        manifest, face, made = avatar.manifest, avatar.face, form(avatar)
        try:
            mouth = MouthPredictor(avatar.weights('mouth'), precision)
            sampler = HeadPoseSampler(
                avatar.weights('head_pose'), manifest.head_pose.noise_scale, made.limits, precision
            )
            footage = Footage(face.eyes, face.brows, manifest.eyes.first, seamless=manifest.eyes.seamless)
        except AvatarError:
            raise
        except ValueError as error:
            raise AvatarError(f'{avatar.path}: {error}.') from error
        begin = np.random.default_rng(seed)
        eyes_begin = int(begin.integers(footage.rows)) if seed else 0
        posture = Posture(face.posture)
        posture_begin = int(begin.integers(posture.frames)) if seed else 0
        head = manifest.head_pose
        drawn = DrawnPoses(sampler, head.look_ahead, made.head_smoothing, per_axis(head.amplitude), seed)
        ahead = max(manifest.mouth.look_ahead + int(made.mouth_smoothing.look_ahead), head.look_ahead)
        self.mouth = MouthTrack(mouth, manifest.mouth, face, made.mouth_smoothing, made.join_lips, ahead)
        self.head = HeadTrack(
            drawn,
            made.limits,
            posture,
            per_axis(head.posture),
            avatar.camera.metres_per_unit,
            posture_begin,
            idle_amplitude,
            ahead,
        )
        self.eyes = EyeTrack(footage, face.mean_points, eyes_begin, idle_amplitude, ahead)
        self._finish = made.finish
        self.parts = (self.mouth, self.head, self.eyes) + ((made.finish,) if made.finish else ())
        self._face = face
        self._shoulder_amplitude = manifest.upper_body.amplitude
        self.reset()

    @property
    def idle_amplitude(self) -> float:
        """How much of its motion the face shows while nobody speaks; may be changed at any time."""
        return self.head.idle_amplitude

    @idle_amplitude.setter
    def idle_amplitude(self, value: float) -> None:
        _check_idle_amplitude(value)
        self.head.idle_amplitude = self.eyes.idle_amplitude = float(value)

    @property
    def look_ahead(self) -> float:
        """Frames of speech features that a frame of motion waits for; infinite where all comes with ``flush``."""
        return self.mouth.look_ahead if self._finish is None else self._finish.look_ahead

    @property
    def cut(self) -> int:
        """Frames at the end of a clip that get no motion."""
        return self._finish.cut if self._finish else 0

    @property
    def next_frame(self) -> int | None:
        """The frame that the next push has to begin with; None where any will do."""
        return self.state.next_in

    @property
    def held(self) -> int:
        """Frames in which the head-pose network failed to give finite numbers and the last pose was held."""
        return self.head.drawn.held

    def new_state(self) -> MotionState:
        """The next push may begin at any frame, and no command is given."""
        return MotionState()

    def command(self, command: HeadPoseCommand, frame: int | None = None) -> None:
        """Move the head by command, from ``frame`` on or, where None, from the next frame on.

        ValueError with the reason where the command makes no sense; then nothing changes.
        """
        if math.isinf(self.look_ahead):  # a head that is smoothed over the whole clip cannot be taken over
            raise ValueError('head-pose commands are for live motion; a clip that is processed as a whole takes none')
        self.head.command(command, self.state.next_out if frame is None else frame)

    def silence(self, frames: int) -> SpeechFeatures:
        """That many frames of silence, to push where speech features are missing.

        They go on where the last push ended and sound like the last frame in which nobody spoke.
        """
        return SpeechFeatures(
            first_frame=self.state.next_in or 0,
            values=np.repeat(self.state.silent[None], frames, axis=0),
            level_db=np.full(frames, -120, np.float32),
            active=np.zeros(frames, bool),
        )

    def push(self, features: SpeechFeatures) -> FaceMotion | None:
        """Speech features that follow the last ones -> the motion that is complete now, or None.

        ValueError where shapes are wrong, numbers are not finite, or frames are missing; then nothing changes.
        """
        self._check(features)
        if not len(features):
            return None
        state = self.state
        if state.next_in is None:
            state.next_in = state.next_out = features.first_frame
        state.next_in += len(features)
        active = np.asarray(features.active, bool)
        if not active.all():
            state.silent = np.array(features.values[np.flatnonzero(~active)[-1]], np.float32)
        state.speaking.extend(active.tolist())
        if len(features) <= BLOCK_FRAMES:
            return self._advance(features)
        return FaceMotion.join(
            self._advance(features[begin : begin + BLOCK_FRAMES]) for begin in range(0, len(features), BLOCK_FRAMES)
        )

    def flush(self) -> FaceMotion | None:
        """End the clip: the rest of its motion, or None. The stage is as new afterwards.

        As in the paper's offline form, the last speech feature is repeated to stand for what would follow.
        """
        motion = self._zip(self.mouth.flush(), self.head.flush(), self.eyes.flush())
        if self._finish:
            motion = FaceMotion.join([self._finished(motion), self._finish.flush()])
        self.reset()
        return motion

    def _check(self, features: SpeechFeatures) -> None:
        values, active = np.asarray(features.values), np.asarray(features.active)
        N = len(features)
        if values.shape != (N, FEATURES_PER_FRAME, FEATURE_SIZE):
            raise ValueError(
                f'speech features have shape {values.shape}, (N, {FEATURES_PER_FRAME}, {FEATURE_SIZE}) is needed'
            )
        if active.shape != (N,):
            raise ValueError(f'speech activity has shape {active.shape}, ({N},) is needed for {N} frames')
        if N and not np.abs(values).max() <= LARGEST_FEATURE:
            good = np.abs(values).max(axis=(1, 2)) <= LARGEST_FEATURE
            bad = features.first_frame + int(np.flatnonzero(~good)[0])
            raise ValueError(f'speech features of frame {bad} are not finite or above {LARGEST_FEATURE:g}')
        if features.first_frame < 0:
            raise ValueError(f'speech features begin at frame {features.first_frame}, frames count from 0')
        if self.state.next_in is not None and features.first_frame != self.state.next_in:
            raise ValueError(
                f'speech features begin at frame {features.first_frame}, frame {self.state.next_in} is next: '
                'fill a gap with silence or reset the stage'
            )

    def _advance(self, features: SpeechFeatures) -> FaceMotion | None:
        motion = self._zip(self.mouth.push(features), self.head.push(features), self.eyes.push(features))
        return self._finished(motion)

    def _finished(self, motion: FaceMotion | None) -> FaceMotion | None:
        return motion if motion is None or self._finish is None else self._finish.push(motion)

    def _zip(self, mouth: MouthMotion | None, head: HeadMotion | None, eyes: EyeMotion | None) -> FaceMotion | None:
        """The tracks' motions of the same frames as one."""
        if mouth is None or head is None or eyes is None:
            return None
        N, face, state = len(mouth), self._face, self.state
        points = mouth.points
        points[:, EYES_AND_BROWS] = eyes.points
        translation = head.poses[:, 3:] + face.translation_mean
        moved = self._shoulder_amplitude * (translation - face.shoulder_translation)
        state.next_out += N
        return FaceMotion(
            mouth.first_frame,
            points=points,
            euler=head.poses[:, :3].astype(np.float32),
            translation=translation.astype(np.float32),
            shoulders=(face.shoulders + moved[:, None]).astype(np.float32),
            speaking=np.array([state.speaking.popleft() for _ in range(N)]),
            source=head.source,
            clamped=head.clamped,
        )


def _check_idle_amplitude(value: float) -> None:
    if not np.isfinite(value) or value < 0:
        raise ValueError(f'idle amplitude is {value}, it must be a finite number from 0 up')
