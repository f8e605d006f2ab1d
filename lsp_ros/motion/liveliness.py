"""Speech activity -> how far the mouth follows its network, and how much of their motion head, eyes and brows show."""

import math
from collections.abc import Iterable
from itertools import islice

OPEN_FRAMES = 7  # lips part up to 117 ms before the first sound, as people's do
CLOSE_FRAMES = 9  # and are at rest 150 ms after the last one
BRIDGE_FRAMES = 12  # a pause of up to 200 ms does not close the mouth
SETTLE_FRAMES = 60  # from the liveliness of speech to that of idling, and back


class MouthGate:
    """How far the mouth follows the network: 1 while somebody speaks, 0 (at rest) in silence, smooth between.

    It opens up to ``OPEN_FRAMES`` ahead of speech, rests ``CLOSE_FRAMES`` after it, and stays open through
    pauses of at most ``BRIDGE_FRAMES``.
    """

    def __init__(self) -> None:
        self._since = max(BRIDGE_FRAMES, CLOSE_FRAMES)  # frames since somebody spoke

    def step(self, ahead: Iterable[bool]) -> float:
        """Activity of this frame and the ones known ahead -> weight 0..1 of this frame."""
        until = BRIDGE_FRAMES + 1  # frames to go until somebody speaks, as far as that matters
        for frame, spoken in enumerate(islice(ahead, BRIDGE_FRAMES + 1)):
            if spoken:
                until = frame
                break
        if until == 0:
            self._since = 0
            return 1.0
        self._since += 1
        # frames since - 1 lie behind in this pause, this one and until - 1 more are to come
        if self._since + until - 1 <= BRIDGE_FRAMES:
            return 1.0
        closing = 0.5 + 0.5 * math.cos(math.pi * min(self._since / CLOSE_FRAMES, 1.0))
        opening = 0.5 + 0.5 * math.cos(math.pi * min(until / (OPEN_FRAMES + 1), 1.0))
        return max(closing, opening)


class Liveliness:
    """How much of its motion a face shows: 1 in speech, the idle amplitude in silence, smooth between."""

    def __init__(self) -> None:
        self._gate = MouthGate()
        self._frames = 0  # on the way from idling (0) to speech (SETTLE_FRAMES)

    def step(self, ahead: Iterable[bool], idle_amplitude: float) -> float:
        """Activity of this frame and the ones known ahead -> the share of its motion in this frame."""
        speaking = self._gate.step(ahead) > 0
        self._frames = min(max(self._frames + (1 if speaking else -1), 0), SETTLE_FRAMES)
        s = self._frames / SETTLE_FRAMES
        return idle_amplitude + (1 - idle_amplitude) * s * s * (3 - 2 * s)
