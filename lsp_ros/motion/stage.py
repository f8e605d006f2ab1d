"""Stage 2 of the paper, live: speech features in, everything that moves out (sections 3.2 and 3.3)."""

from collections import deque
from itertools import islice

import numpy as np

from lsp_ros.avatar.landmarks import BROWS, EYES, MOUTH_OUTPUT
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.motion.command import HeadPoseControl
from lsp_ros.motion.footage import Footage, Posture
from lsp_ros.motion.head_pose_live import UNBOUNDED, HeadPoseSampler, HeadPoseState, PoseLimits
from lsp_ros.motion.mouth_live import MouthGate, MouthPredictor, Smoother, join_lips
from lsp_ros.signals import FEATURE_SIZE, FaceMotion, HeadPoseCommand, SpeechFeatures
from lsp_ros.timeline import FEATURES_PER_FRAME

JAW_OUTPUTS = 7  # the first points of landmarks.MOUTH_OUTPUT, contour 4 to 10
SETTLE_FRAMES = 60  # from the liveliness of speech to that of idling, and back
LARGEST_FEATURE = 1e4  # real ones are near -1..1; what is far larger would overflow and stay in the LSTM for ever
BLOCK_FRAMES = 240  # a long push is worked off in pieces, so that memory stays small


class LowPass:
    """Critically damped low-pass of poses (6,): follows without overshoot and without looking ahead.

    ``sigma`` (6,) frames: it spreads an impulse as far as a Gaussian of that sigma does, and comes
    sqrt(2) sigma frames late. Sigma 0 passes everything through.
    """

    def __init__(self, sigma: np.ndarray) -> None:
        through = sigma <= 0
        self._rate = np.sqrt(2) / np.where(through, 1, sigma)
        self._decay = np.where(through, 0, np.exp(-self._rate))  # 0: nothing is left of the past
        self._value: np.ndarray | None = None
        self._speed = np.zeros(6)

    def step(self, pose: np.ndarray) -> np.ndarray:
        if self._value is None:
            self._value = pose
        # Exact solution of y'' = a^2 (u - y) - 2 a y' for one frame of constant input u.
        gap = self._value - pose
        drive = self._speed + self._rate * gap
        self._speed = (self._speed - self._rate * drive) * self._decay
        self._value = pose + (gap + drive) * self._decay
        return self._value


class MotionStage:
    """Speech features of one stream -> face motion, frame by frame.

    ``seed`` makes the head motion and, unless 0, the places where the footage of eyes and of posture begins.
    ``idle_amplitude`` scales how much head, eyes and brows move while nobody speaks: 1 as in speech, 0 not at all.
    ``precision`` of the networks, int8 or f32 (:mod:`lsp_ros.openvino_graph`). ``raw`` leaves their output as it is, in f32,
    unsmoothed, lips crossed and the head unbounded, for who has the whole clip (:mod:`lsp_ros.motion.clip`).
    """

    cut = 0
    """Frames at the end of a clip that get no motion."""

    def __init__(
        self, avatar: Avatar, seed: int = 0, idle_amplitude: float = 1.0, raw: bool = False, precision: str = 'int8'
    ) -> None:
        manifest, face = avatar.manifest, avatar.face
        self.idle_amplitude = idle_amplitude
        self._seed = seed
        self._face = face
        self._metres_per_unit = avatar.camera.metres_per_unit
        self._mouth_ahead = manifest.mouth.look_ahead
        self._mouth_sigma = 0.0 if raw else manifest.mouth.smoothing
        self._lips = slice(0 if manifest.mouth.contour else JAW_OUTPUTS, None)
        amplitude = np.ones((len(MOUTH_OUTPUT), 3), np.float32)
        amplitude[JAW_OUTPUTS:] = manifest.mouth.amplitude
        self._mouth_amplitude = amplitude[self._lips]
        self._mouth_rest = face.mouth_rest.astype(np.float32)[self._lips]
        self._rests = manifest.mouth.rests
        self._join_lips = not raw
        self._seal = manifest.mouth.seal
        self._limits = UNBOUNDED if raw else PoseLimits.of(avatar.pose_range)
        head, precision = manifest.head_pose, 'f32' if raw else precision
        try:
            self._mouth = MouthPredictor(avatar.weights('mouth'), precision)
            self._head = HeadPoseSampler(avatar.weights('head_pose'), head.noise_scale, self._limits, precision)
            self._footage = Footage(face.eyes, face.brows, manifest.eyes.first, seamless=manifest.eyes.seamless)
        except AvatarError:
            raise
        except ValueError as error:
            raise AvatarError(f'{avatar.path}: {error}.') from error
        self._head_ahead = head.look_ahead
        self._head_amplitude = np.repeat(np.asarray(head.amplitude, float), 3)
        self._head_sigma = np.zeros(6) if raw else np.repeat(np.asarray(head.smoothing, float), 3)
        self._shoulder_amplitude = manifest.upper_body.amplitude
        begin = np.random.default_rng(seed)
        self._eyes_begin = int(begin.integers(self._footage.rows)) if seed else 0
        self._posture = Posture(face.posture)
        self._posture_share = np.repeat(np.asarray(head.posture, float), 3)
        self._posture_begin = int(begin.integers(self._posture.frames)) if seed else 0
        self._base = face.mean_points.astype(np.float32).copy()
        self._lip_points = MOUTH_OUTPUT[self._lips]
        self._lips_rest = face.mouth_mean[self._lip_points].astype(np.float32) + self._mouth_rest
        self._look_ahead = max(self._mouth_ahead + Smoother(self._mouth_sigma).radius, self._head_ahead)
        self.reset()

    @property
    def idle_amplitude(self) -> float:
        """How much of its motion the face shows while nobody speaks; may be changed at any time."""
        return self._idle_amplitude

    @idle_amplitude.setter
    def idle_amplitude(self, value: float) -> None:
        if not np.isfinite(value) or value < 0:
            raise ValueError(f'idle amplitude is {value}, it must be a finite number from 0 up')
        self._idle_amplitude = float(value)

    @property
    def look_ahead(self) -> int:
        """Frames of speech features that a frame of motion waits for."""
        return self._look_ahead

    @property
    def next_frame(self) -> int | None:
        """The frame that the next push has to begin with; None where any will do."""
        return self._next_in

    @property
    def held(self) -> int:
        """Frames in which the head-pose network failed to give finite numbers and the last pose was held."""
        return self._head_state.held if self._head_state else 0

    def reset(self) -> None:
        """Forget the stream and any command; the next push may begin at any frame."""
        self._next_in: int | None = None
        self._silent = np.zeros((FEATURES_PER_FRAME, FEATURE_SIZE), np.float32)
        self._mouth_state = self._mouth.start()
        self._skip = self._mouth_ahead  # outputs of the network before it has heard its look-ahead
        self._smoother = Smoother(self._mouth_sigma)
        self._gate = MouthGate()
        self._active: deque[bool] = deque()
        self._displacements: deque[np.ndarray] = deque()
        self._heard: deque[np.ndarray] = deque()  # (1, 1024) features that the head has not come to
        self._head_state: HeadPoseState | None = None
        self._head_filter = LowPass(self._head_sigma)
        self._control = HeadPoseControl(self._limits, self._metres_per_unit)
        self._fed = np.zeros((1, 6))
        self._liveliness = 0
        self._next_out = 0

    def command(self, command: HeadPoseCommand, frame: int | None = None) -> None:
        """Move the head by command, from ``frame`` on or, where None, from the next frame on.

        ValueError with the reason where the command makes no sense; then nothing changes.
        """
        self._control.command(command, self._next_out if frame is None else frame)

    def silence(self, frames: int) -> SpeechFeatures:
        """That many frames of silence, to push where speech features are missing.

        They go on where the last push ended and sound like the last frame in which nobody spoke.
        """
        return SpeechFeatures(
            first_frame=self._next_in or 0,
            values=np.repeat(self._silent[None], frames, axis=0),
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
        if self._next_in is None:
            self._next_in = self._next_out = features.first_frame
        self._next_in += len(features)
        active = np.asarray(features.active, bool)
        values = np.asarray(features.values, np.float32)
        if not active.all():
            self._silent = values[np.flatnonzero(~active)[-1]].copy()
        self._last_row = values[-1, -1]
        made = []
        for begin in range(0, len(values), BLOCK_FRAMES):
            piece = slice(begin, begin + BLOCK_FRAMES)
            self._hear(values[piece].reshape(-1, FEATURES_PER_FRAME * FEATURE_SIZE), active[piece])
            made.append(self._ready())
        return FaceMotion.join(made)

    def flush(self) -> FaceMotion | None:
        """End the clip: the rest of its motion, or None. The stage is as new afterwards.

        As in the paper's offline form, the last speech feature is repeated to stand for what would follow.
        """
        if self._next_in is None:
            return None
        row = np.tile(self._last_row, FEATURES_PER_FRAME)[None]
        if self._mouth_ahead:
            self._hear_mouth(np.repeat(row, self._mouth_ahead, axis=0))
        self._displacements.extend(self._smoother.flush())
        self._heard.extend([row] * self._head_ahead)
        self._active.extend([False] * self._look_ahead)
        motion = self._ready()
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
        if self._next_in is not None and features.first_frame != self._next_in:
            raise ValueError(
                f'speech features begin at frame {features.first_frame}, frame {self._next_in} is next: '
                'fill a gap with silence or reset the stage'
            )

    def _hear(self, rows: np.ndarray, active: np.ndarray) -> None:
        """Take in feature rows (N, 1024) and activity (N,)."""
        self._hear_mouth(rows)
        self._heard.extend(rows[:, None].copy())
        self._active.extend(active.tolist())

    def _hear_mouth(self, rows: np.ndarray) -> None:
        displacements = self._mouth.step(self._mouth_state, rows[None])[0]
        skipped = min(self._skip, len(displacements))
        self._skip -= skipped
        self._displacements.extend(self._smoother.push(displacements[skipped:]))

    def _ready(self) -> FaceMotion | None:
        """The frames whose look-ahead is in."""
        count = len(self._active) - self._look_ahead
        if count <= 0:
            return None
        motion = FaceMotion(
            self._next_out,
            points=np.empty((count, *self._base.shape), np.float32),
            euler=np.empty((count, 3), np.float32),
            translation=np.empty((count, 3), np.float32),
            shoulders=np.empty((count, *self._face.shoulders.shape), np.float32),
            speaking=np.empty(count, bool),
            source=np.empty(count, np.uint8),
            clamped=np.empty(count, bool),
        )
        for row in range(count):
            self._frame(motion, row)
        return motion

    def _frame(self, motion: FaceMotion, row: int) -> None:
        """Write the next frame of motion into a row of a block."""
        frame = self._next_out
        speaking = self._active[0]
        weight = self._gate.step(islice(self._active, self._look_ahead + 1))
        self._active.popleft()
        lively = self._lively(weight > 0)
        self._shape(motion.points[row], frame, weight if self._rests else 1.0, lively)
        pose, source, clamped = self._pose(frame, lively)
        translation = pose[3:] + self._face.translation_mean
        moved = self._shoulder_amplitude * (translation - self._face.shoulder_translation)
        motion.euler[row], motion.translation[row] = pose[:3], translation
        motion.shoulders[row] = self._face.shoulders + moved
        motion.speaking[row], motion.source[row], motion.clamped[row] = speaking, source, clamped
        self._next_out += 1

    def _lively(self, speaking: bool) -> float:
        """How much of its motion a face shows: 1 in speech, the idle amplitude in silence, smooth between."""
        self._liveliness = min(max(self._liveliness + (1 if speaking else -1), 0), SETTLE_FRAMES)
        s = self._liveliness / SETTLE_FRAMES
        return self.idle_amplitude + (1 - self.idle_amplitude) * s * s * (3 - 2 * s)

    def _shape(self, points: np.ndarray, frame: int, weight: float, lively: float) -> None:
        """Write the landmarks (73, 3) of a frame."""
        predicted = self._displacements.popleft().reshape(-1, 3)[self._lips] * self._mouth_amplitude
        points[:] = self._base
        points[self._lip_points] = self._lips_rest + np.float32(weight) * (predicted - self._mouth_rest)
        if self._join_lips:
            points[:] = join_lips(points, self._seal)
        footage = self._footage
        eyes, brows = footage.at(frame + self._eyes_begin)
        # Half a blink looks ill: lids move in full unless there is next to no motion at all.
        blinking = np.float32(min(1.0, 4 * lively))
        points[EYES] = footage.rest_eyes + blinking * (eyes - footage.rest_eyes)
        if brows is not None:
            points[BROWS] = footage.rest_brows + np.float32(lively) * (brows - footage.rest_brows)

    def _pose(self, frame: int, lively: float) -> tuple[np.ndarray, int, bool]:
        if self._head_state is None:
            self._warm_up()
        state = self._head_state
        raw = self._head.sample(state, self._heard[self._head_ahead])[:, :6]
        self._heard.popleft()
        rest = self._limits.rest
        posture = self._posture_share * self._posture.at(frame + self._posture_begin)
        moved = self._limits.soften(self._head_filter.step(raw[0] * self._head_amplitude) + posture)
        own = rest + lively * (moved - rest)
        shown, source, clamped = self._control.step(frame, own)
        before = self._fed
        self._fed = raw
        if self._control.absolute:
            # The network sees what people see, so that it goes on from there when it gets the head back.
            # Not so with an offset: taken for its own motion, it would be added again in every frame.
            amplitude = np.where(self._head_amplitude > 0, self._head_amplitude, np.inf)
            self._fed = self._limits.clip((shown - posture) / amplitude)[None]
            self._head.feed(state, before, self._fed)
            return shown, source, clamped
        return shown, source, clamped or bool(state.clamped[0])

    def _warm_up(self) -> None:
        """Give the network its look-ahead: a head at rest that has heard the first frame for ever."""
        state = self._head.start(self._heard[0], self._seed)
        for ahead in range(1, self._head_ahead):
            self._head.step(state, self._heard[ahead])
        self._head_state = state
