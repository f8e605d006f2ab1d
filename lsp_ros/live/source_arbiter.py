"""Which of several sources on one topic is listened to."""

import math
from collections import deque

SECONDS_TO_STOP = 0.3  # a stream of which nothing came for so long has stopped


class SourceArbiter:
    """Two sources on one topic are a mistake: followed is who began last, for as long as something comes of it."""

    def __init__(self) -> None:
        self.stream_id: str | None = None
        self._heard_at = -math.inf
        self._left: deque[str | None] = deque(maxlen=16)

    def accepts(self, stream_id: str, now: float) -> bool:
        """Whether to listen to what comes of that stream at `now` seconds on the steady clock."""
        if stream_id != self.stream_id:
            if stream_id in self._left and now - self._heard_at <= SECONDS_TO_STOP:
                return False
            self._left.append(self.stream_id)
            self.stream_id = stream_id
        self._heard_at = now
        return True
