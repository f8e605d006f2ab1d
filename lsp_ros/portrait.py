"""The whole paper in a row: push speech, get pictures. No ROS in it.

    portrait = Portrait('presenter')
    for frame in portrait.push(samples) + portrait.flush():
        show(frame.image)

One object serves a live stream and a file: samples may come in any chunking.
"""

import os

import numpy as np

from lsp_ros.avatar.avatar import Avatar, find_avatar
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import FaceMotion, HeadPoseCommand, RenderedFrame
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE

FRAME_RATES = (30, 60)


class Portrait:
    """Speech features, motion and rendering of one avatar, one stream of speech at a time.

    avatar          an Avatar, the folder of one, or the name of a built-in one
    engine          a renderer engine or its name: 'auto', 'torch', 'openvino'
    seed            of the head motion: same speech, same seed, same pictures
    idle_amplitude  how much the face moves while nobody speaks; 0 holds still
    mark            draws the small visible mark of generated content
    frame_rate      60, or 30 for every second frame of the same motion
    threads         CPU threads of the renderer; None leaves it to the engine

    Raises AvatarError for an avatar that cannot be used and ValueError for other arguments.
    """

    def __init__(self, avatar: Avatar | str | os.PathLike, engine='auto', seed: int = 0, idle_amplitude: float = 1.0,
                 mark: bool = True, frame_rate: int = FRAME_RATE, threads: int | None = None):
        if frame_rate not in FRAME_RATES:
            raise ValueError(f'The frame rate is {frame_rate}; it must be 30 or 60 frames per second.')
        self.avatar = avatar if isinstance(avatar, Avatar) else Avatar.load(find_avatar(avatar))
        self.frame_rate = frame_rate
        self._step = FRAME_RATE // frame_rate
        self._speech = SpeechStage(self.avatar)
        self._motion = MotionStage(self.avatar, seed=seed, idle_amplitude=idle_amplitude)
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
        features = self._speech.push(samples)
        return self._render(self._motion.push(features) if features else None)

    def flush(self) -> list[RenderedFrame]:
        """Ends the clip: the rest of its floor(samples * 60 / 16000) frames. Then a new one may begin."""
        features = self._speech.flush()
        frames = self._render(self._motion.push(features) if features else None)
        return frames + self._render(self._motion.flush())

    def reset(self) -> None:
        """Forgets the clip; the next sample is the first of a new one."""
        self._speech.reset()
        self._motion.reset()

    def command(self, command: HeadPoseCommand, frame: int | None = None) -> None:
        """Moves the head by command from frame ``frame`` on, or from the next one (paper section 5.1)."""
        self._motion.command(command, frame)

    def _render(self, motion: FaceMotion | None) -> list[RenderedFrame]:
        if motion is None:
            return []
        pictures = []
        for index in range(-motion.first_frame % self._step, len(motion), self._step):
            pictures += self._rendering.render(motion[index : index + 1])
        return pictures
