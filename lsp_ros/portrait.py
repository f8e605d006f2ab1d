"""The whole paper in a row: push speech, get pictures. No ROS in it.

    portrait = Portrait('presenter')
    for frame in portrait.push(samples) + portrait.flush():
        show(frame.image)

One object serves a live stream and a file: samples may come in any chunking.
"""

import os
from collections.abc import Iterator

import numpy as np

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.engines.engine import Engine
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import FaceMotion, HeadPoseCommand, RenderedFrame
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE, frames_in

FRAME_RATES = (30, 60)
CHUNK = SAMPLE_RATE // 4  # what ``film`` pushes at once: keeps memory small and a progress bar smooth


class Portrait:
    """Speech features, motion and rendering of one avatar, one stream of speech at a time.

    avatar          an Avatar, the folder of one, or the name of a built-in one
    engine          a renderer engine or its name: 'auto', 'torch', 'openvino', 'tensorrt'
    seed            of the head motion: same speech, same seed, same pictures
    idle_amplitude  how much the face moves while nobody speaks; 0 holds still
    mark            draws the small visible mark of generated content
    frame_rate      60, or 30 for every second frame of the same motion
    threads         CPU threads of the renderer; None leaves it to the engine
    whole_clip      processes motion as the authors do offline, with the whole clip at hand: every picture comes
                    with ``flush``, so take ``film``; no head-pose commands

    It changes nothing of the process that it runs in. For an avatar whose speech is projected onto its manifold, a
    program that is short of cores sets ``OPENBLAS_NUM_THREADS=1`` before it imports NumPy: see ``SpeechStage``.

    Raises AvatarError for an avatar that cannot be used and ValueError for other arguments.
    """

    def __init__(
        self,
        avatar: Avatar | str | os.PathLike[str],
        engine: str | Engine = 'auto',
        seed: int = 0,
        idle_amplitude: float = 1.0,
        mark: bool = True,
        frame_rate: int = FRAME_RATE,
        threads: int | None = None,
        whole_clip: bool = False,
    ) -> None:
        if frame_rate not in FRAME_RATES:
            raise ValueError(f'The frame rate is {frame_rate}; it must be 30 or 60 frames per second.')
        self.avatar = avatar if isinstance(avatar, Avatar) else Avatar.load(find_avatar(avatar))
        self.frame_rate = frame_rate
        self._step = FRAME_RATE // frame_rate
        self._speech = SpeechStage(self.avatar, 'f32' if whole_clip else 'int8')
        self._motion = _motion_stage(self.avatar, seed, idle_amplitude, whole_clip)
        self._rendering = RenderStage(self.avatar, engine, mark=mark, threads=threads)

    @property
    def look_ahead_seconds(self) -> float:
        """How much sound after the end of a frame must be in before its picture comes out."""
        return self._speech.look_ahead / SAMPLE_RATE + self._motion.look_ahead / FRAME_RATE

    def push(self, samples: np.ndarray) -> list[RenderedFrame]:
        """(n,) float32 mono samples at 16 kHz in -1..1 -> the pictures that they complete.

        ``RenderedFrame.frame`` counts at 60 fps whatever the frame rate: frame t shows the moment
        t / 60 s of the sound. A picture takes 0.75 MB: push long clips in pieces.
        """
        return list(self._render(self._move(samples)))

    def flush(self) -> list[RenderedFrame]:
        """Ends the clip: the rest of its floor(samples * 60 / 16000) frames. Then a new one may begin."""
        return list(self._finish())

    def film(self, samples: np.ndarray) -> Iterator[RenderedFrame]:
        """A whole clip, picture by picture: the same as ``push`` and ``flush`` in the memory of one picture."""
        for start in range(0, len(samples), CHUNK):
            yield from self._render(self._move(samples[start : start + CHUNK]))
        yield from self._finish()

    def pictures_in(self, samples: int) -> int:
        """How many pictures a clip of that many samples gives."""
        return -(-max(0, frames_in(samples) - self._motion.cut) // self._step)

    def reset(self) -> None:
        """Forgets the clip; the next sample is the first of a new one."""
        self._speech.reset()
        self._motion.reset()

    def command(self, command: HeadPoseCommand, frame: int | None = None) -> None:
        """Moves the head by command from frame ``frame`` on, or from the next one (paper section 5.1)."""
        self._motion.command(command, frame)

    def _move(self, samples: np.ndarray) -> FaceMotion | None:
        features = self._speech.push(samples)
        return self._motion.push(features) if features else None

    def _finish(self) -> Iterator[RenderedFrame]:
        features = self._speech.flush()
        if features:
            yield from self._render(self._motion.push(features))
        yield from self._render(self._motion.flush())

    def _render(self, motion: FaceMotion | None) -> Iterator[RenderedFrame]:
        if motion is None:
            return
        for index in range(-motion.first_frame % self._step, len(motion), self._step):
            yield from self._rendering.render(motion[index : index + 1])


def _motion_stage(avatar: Avatar, seed: int, idle_amplitude: float, whole_clip: bool) -> MotionStage:
    if whole_clip:
        from lsp_ros.motion.clip import whole_clip_stage  # not above: it brings SciPy, which live motion does without

        return whole_clip_stage(avatar, seed, idle_amplitude)
    return MotionStage(avatar, seed, idle_amplitude)
