"""Stage 1: audio samples -> speech features (paper section 3.1)."""

from dataclasses import dataclass

import numpy as np

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.signals import SpeechFeatures
from lsp_ros.speech.activity import SpeechActivity, level_db
from lsp_ros.speech.apc_live import APCState, FeatureEncoder
from lsp_ros.speech.manifold import Manifold
from lsp_ros.speech.mel import FRAME_SUPPORT, mel_frames
from lsp_ros.streaming import Streaming

BLOCK = 1024
"""Video frames worked on at once: bounds the memory that a long file takes."""


@dataclass
class SpeechState:
    """What the stage remembers of its stream."""

    samples: np.ndarray  # (n,) float32, pushed and still needed
    start: int  # position of samples[0] in the stream
    frame: int  # the video frame that comes out next
    network: APCState
    activity: SpeechActivity


class SpeechStage(Streaming[np.ndarray, SpeechFeatures | None, SpeechState]):
    """One stream of speech. Push 16 kHz samples in any chunking, get the video frames that are complete.

    Frame t is complete when the ``look_ahead`` samples after its end are in. Its two feature
    rows pass through the APC, whose state is carried, and are projected onto the person's
    manifold; ``projection`` of the manifest mixes projected and raw features (1 = projected).
    ``precision`` of the APC, int8 or f32 (:mod:`lsp_ros.openvino_graph`).

    Where the manifest projects at all, its products take microseconds: waking a second BLAS thread for them costs more
    than it saves, most of all on a busy machine. A program that runs the stage frame by frame sets
    ``OPENBLAS_NUM_THREADS=1`` before NumPy is imported, as the nodes and ``lsp`` do (:mod:`lsp_ros.blas`); the stage
    itself changes nothing.
    """

    look_ahead = FRAME_SUPPORT
    """Samples after the end of a video frame that must be in before it comes out (67, 4.2 ms)."""

    def __init__(self, avatar: Avatar, precision: str = 'int8') -> None:
        try:
            self._encoder = FeatureEncoder(avatar.weights('apc'), precision)
        except ValueError as error:
            raise AvatarError(f'{avatar.path}/apc.safetensors: {error}') from error
        self._projection = avatar.manifest.speech.projection
        self._manifold = None  # 60 MB, which nobody looks at where nothing is projected
        if self._projection:
            self._manifold = Manifold(avatar.manifold(), avatar.manifest.speech.neighbours)
        self.reset()

    def new_state(self) -> SpeechState:
        """The next sample is sample 0."""
        return SpeechState(np.zeros(0, np.float32), 0, 0, self._encoder.start(), SpeechActivity())

    @property
    def position(self) -> int:
        """Samples pushed since the start of the stream."""
        return self.state.start + len(self.state.samples)

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
        self.state.samples = np.concatenate([self.state.samples, samples])
        return self._advance(timeline.frames_in(max(0, self.position - self.look_ahead)))

    def flush(self) -> SpeechFeatures | None:
        """End of the clip: the frames that still wait for look-ahead get silence for it.

        A last part of a video frame is dropped, as floor(samples * 60 / 16000) frames ask.
        """
        end = timeline.frames_in(self.position)
        self.state.samples = np.pad(self.state.samples, (0, self.look_ahead))
        block = self._advance(end)
        self.reset()
        return block

    def _advance(self, end: int) -> SpeechFeatures | None:
        blocks = []
        while self.state.frame < end:
            blocks.append(self._compute(min(end, self.state.frame + BLOCK)))
        return SpeechFeatures.join(blocks)

    def _compute(self, end: int) -> SpeechFeatures:
        state, per_frame = self.state, timeline.FEATURES_PER_FRAME
        first = state.frame
        starts = np.array([timeline.feature_start(i) for i in range(per_frame * first, per_frame * end)]) - state.start
        raw = self._encoder.step(state.network, mel_frames(state.samples, starts)[None])[0]
        values = raw
        if self._manifold is not None:
            projected, _, _ = self._manifold.project(raw)
            values = projected if self._projection == 1 else raw + self._projection * (projected - raw)
        bounds = [timeline.frame_start(t) - state.start for t in range(first, end + 1)]
        levels = np.array([level_db(state.samples[a:b]) for a, b in zip(bounds[:-1], bounds[1:])], np.float32)
        active = np.array([state.activity.push(level) for level in levels.tolist()], bool)
        state.frame = end
        drop = timeline.frame_start(end) - state.start
        state.samples, state.start = state.samples[drop:].copy(), state.start + drop
        return SpeechFeatures(first, values.reshape(end - first, per_frame, -1).astype(np.float32), levels, active)
