"""Stage 1: audio samples -> speech features (paper section 3.1)."""

import numpy as np
import threadpoolctl

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.signals import SpeechFeatures
from lsp_ros.speech.activity import SpeechActivity, level_db
from lsp_ros.speech.apc_live import FeatureEncoder
from lsp_ros.speech.manifold import Manifold
from lsp_ros.speech.mel import FRAME_SUPPORT, mel_frames

BLOCK = 1024
"""Video frames worked on at once: bounds the memory that a long file takes."""


class SpeechStage:
    """One stream of speech. Push 16 kHz samples in any chunking, get the video frames that are complete.

    Frame t is complete when the ``look_ahead`` samples after its end are in. Its two feature
    rows pass through the APC, whose state is carried, and are projected onto the person's
    manifold; ``projection`` of the manifest mixes projected and raw features (1 = projected).
    ``precision`` of the APC, int8 or f32 (:mod:`lsp_ros.openvino_graph`).
    """

    look_ahead = FRAME_SUPPORT
    """Samples after the end of a video frame that must be in before it comes out (67, 4.2 ms)."""

    def __init__(self, avatar: Avatar, precision: str = 'int8') -> None:
        try:
            self._encoder = FeatureEncoder(avatar.weights('apc'), precision)
        except ValueError as error:
            raise AvatarError(f'{avatar.path}/apc.safetensors: {error}') from error
        # The projection's products take microseconds: waking a second thread for them costs more than it saves, and
        # on a busy machine a hundred times more. For the whole process.
        threadpoolctl.threadpool_limits(1, 'blas')
        self._projection = avatar.manifest.speech.projection
        self._manifold = None  # 60 MB, which nobody looks at where nothing is projected
        if self._projection:
            self._manifold = Manifold(avatar.manifold(), avatar.manifest.speech.neighbours)
        self._activity = SpeechActivity()
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next sample is sample 0."""
        self._samples = np.zeros(0, np.float32)
        self._start = 0  # position of _samples[0] in the stream
        self._frame = 0  # next video frame to come out
        self._state = self._encoder.start()
        self._activity.reset()

    @property
    def position(self) -> int:
        """Samples pushed since the start of the stream."""
        return self._start + len(self._samples)

    def push(self, samples: np.ndarray) -> SpeechFeatures | None:
        """(n,) float32 mono samples at 16 kHz, -1..1 -> the frames that they complete, or None.

        Raises ValueError for another shape and for values that are not finite as float32; the stream
        goes on as if the bad chunk had not been pushed.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != 'f':
            raise ValueError(f'audio has shape {samples.shape} of {samples.dtype}; expected (n,) floating point')
        with np.errstate(over='ignore'):
            samples = samples.astype(np.float32)
        if not np.isfinite(samples).all():
            raise ValueError(f'audio holds {np.count_nonzero(~np.isfinite(samples))} values that are not finite')
        self._samples = np.concatenate([self._samples, samples])
        return self._advance(timeline.frames_in(max(0, self.position - self.look_ahead)))

    def flush(self) -> SpeechFeatures | None:
        """End of the clip: the frames that still wait for look-ahead get silence for it.

        A last part of a video frame is dropped, as floor(samples * 60 / 16000) frames ask.
        """
        end = timeline.frames_in(self.position)
        self._samples = np.pad(self._samples, (0, self.look_ahead))
        block = self._advance(end)
        self.reset()
        return block

    def _advance(self, end: int) -> SpeechFeatures | None:
        blocks = []
        while self._frame < end:
            blocks.append(self._compute(min(end, self._frame + BLOCK)))
        return SpeechFeatures.join(blocks)

    def _compute(self, end: int) -> SpeechFeatures:
        first, per_frame = self._frame, timeline.FEATURES_PER_FRAME
        starts = np.array([timeline.feature_start(i) for i in range(per_frame * first, per_frame * end)]) - self._start
        raw = self._encoder.step(self._state, mel_frames(self._samples, starts))
        values = raw
        if self._projection:
            projected, _, _ = self._manifold.project(raw)
            values = projected if self._projection == 1 else raw + self._projection * (projected - raw)
        bounds = [timeline.frame_start(t) - self._start for t in range(first, end + 1)]
        levels = np.array([level_db(self._samples[a:b]) for a, b in zip(bounds[:-1], bounds[1:])], np.float32)
        active = np.array([self._activity.push(level) for level in levels.tolist()], bool)
        self._frame = end
        drop = timeline.frame_start(end) - self._start
        self._samples, self._start = self._samples[drop:].copy(), self._start + drop
        return SpeechFeatures(first, values.reshape(end - first, per_frame, -1).astype(np.float32), levels, active)
