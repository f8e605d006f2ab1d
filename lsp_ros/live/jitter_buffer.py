"""Samples that come at their own pace, as many of them as our clock asks for."""

import math
import threading
from collections import deque

import numpy as np

from lsp_ros import timeline

SINC_REACH = 16  # samples on either side


class JitterBuffer:
    """Samples arrive at the pace of their own clock and leave at the pace of ours, for weeks.

    What comes whole sentences at once leaves as it came. But where samples come at about the pace of the clock, two
    clocks differ by some parts per million: then the buffer keeps about ``target`` samples in hand and stretches what
    it hands out by at most one sample in a call, 0.6 % of the pitch, with the spectrum as it was. When it runs dry it
    hands out silence until it holds ``target`` samples again, or until nothing more came for a while.
    """

    WINDOW_SECONDS = 2.0
    SECONDS_TO_END = 0.1  # nothing more came for so long: what is there is the end of a word
    # Of a live source; a word takes longer to say.
    LONGEST_PIECE_SECONDS = 0.25
    LONGEST_PAUSE_SECONDS = 0.4
    SHORTEST_PROOF_SECONDS = 0.5

    def __init__(self, target: int, limit: int) -> None:
        self.target, self.limit = target, limit
        self.slewed = 0  # samples inserted or left out to follow the other clock
        self.dropped = 0
        self._lock = threading.Lock()
        self._pieces: deque[np.ndarray] = deque()
        self._arrivals: deque[tuple[float, int]] = deque()  # of one run without a pause: when, how many samples
        self._forget()

    def _forget(self) -> None:
        self._pieces.clear()
        self._arrivals.clear()
        self._level, self._filling = 0, True
        self._pushed_at = self._run_began = -math.inf
        # Of the window in which it is decided how fast to hand out.
        self._lowest, self._window_end, self._slew, self._live = 0, 0.0, 0, False
        self._before = np.zeros(SINC_REACH, dtype=np.float32)  # handed out last

    def push(self, samples: np.ndarray, now: float) -> None:
        """Add samples (n,) float32 at `now` seconds on the steady clock; beyond `limit` the oldest go."""
        if not len(samples):
            return
        with self._lock:
            if now - self._pushed_at > self.LONGEST_PAUSE_SECONDS:
                self._arrivals.clear()
                self._run_began = now
            while self._arrivals and now - self._arrivals[0][0] > self.WINDOW_SECONDS:
                self._arrivals.popleft()
            self._arrivals.append((now, len(samples)))
            self._pieces.append(samples)
            self._level += len(samples)
            self._pushed_at = now
            while self._level > self.limit:
                oldest = self._pieces.popleft()
                self._level -= len(oldest)
                self.dropped += len(oldest)

    def runs_dry(self, count: int, now: float) -> bool:
        """Whether silence follows within the next `count` samples: what belongs before it has to come now."""
        with self._lock:
            if self._filling:
                return self._level < self.target and now - self._pushed_at > self.SECONDS_TO_END
            return self._level < count + max(self._slew, 0)

    def add_rest(self, samples: np.ndarray) -> None:
        """Add the end (n,) of what was pushed, which says nothing of the other clock."""
        if len(samples):
            with self._lock:
                self._pieces.append(samples)
                self._level += len(samples)

    def clear(self) -> None:
        """Forget all samples, and what was known of the other clock."""
        with self._lock:
            self._forget()

    def catch_up(self, now: float) -> None:
        """Of a live source only what it says now is of use: leave out what waits beyond `target`."""
        with self._lock:
            if self._is_live(now):
                self._take(max(0, self._level - self.target))

    def read(self, count: int, now: float) -> np.ndarray:
        """(count,) float32 samples."""
        with self._lock:
            if self._filling:
                tail = self._level > 0 and now - self._pushed_at > self.SECONDS_TO_END
                if self._level < self.target and not tail:
                    return self._hand_out(np.zeros(count, dtype=np.float32))
                self._filling, self._lowest, self._slew = False, self._level, 0
                self._window_end = now + self.WINDOW_SECONDS
            self._watch(now, count)
            wanted = count + self._slew
            if self._slew and self._level >= wanted + SINC_REACH and self._is_live(now):
                self.slewed += 1
                samples = self._take(wanted)
                stretched = stretch(np.concatenate([self._before, samples, self._peek(SINC_REACH)]), count)
                self._hand_out(samples)
                return stretched
            samples = self._take(min(count, self._level))
            if len(samples) < count:
                self._filling = True
                samples = np.concatenate([samples, np.zeros(count - len(samples), dtype=np.float32)])
            return self._hand_out(samples)

    def _watch(self, now: float, count: int) -> None:
        """Decide once a window, from the lowest level in it, whether to hand out faster or slower."""
        self._lowest = min(self._lowest, self._level - count)
        if now < self._window_end:
            return
        was_live, self._live = self._live, self._is_live(now)
        self._slew = 0
        if was_live and self._live:
            self._slew = 1 if self._lowest > 2 * self.target else -1 if self._lowest < self.target // 2 else 0
        self._lowest, self._window_end = self._level, now + self.WINDOW_SECONDS

    def _is_live(self, now: float) -> bool:
        """Whether samples come at about the pace of the clock: as a microphone's do, not as sentences do."""
        seconds = min(self.WINDOW_SECONDS, now - self._run_began)
        if now - self._pushed_at > self.LONGEST_PAUSE_SECONDS or seconds < self.SHORTEST_PROOF_SECONDS:
            return False
        recent = [count for pushed_at, count in self._arrivals if pushed_at > now - seconds]
        longest, expected = max(recent, default=0), seconds * timeline.SAMPLE_RATE
        if longest > self.LONGEST_PIECE_SECONDS * timeline.SAMPLE_RATE:
            return False
        return abs(sum(recent) - expected) <= 0.05 * expected + 2 * longest

    def _hand_out(self, samples: np.ndarray) -> np.ndarray:
        self._before = np.concatenate([self._before, samples])[-SINC_REACH:]
        return samples

    def _peek(self, count: int) -> np.ndarray:
        samples = self._take(count)
        self._pieces.appendleft(samples)
        self._level += len(samples)
        return samples

    def _take(self, count: int) -> np.ndarray:
        taken = []
        self._level -= count
        while count > 0:
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
                piece = piece[:count]
            taken.append(piece)
            count -= len(piece)
        return np.concatenate(taken) if taken else np.zeros(0, dtype=np.float32)


def stretch(samples: np.ndarray, count: int) -> np.ndarray:
    """(SINC_REACH + n + SINC_REACH,) -> (count,) samples that last as long as the n in the middle, from the first of
    them to just before what follows: a sinc at each place, under a Hann window, flat up to 7 kHz of 8.
    """
    places = SINC_REACH + np.arange(count) * ((len(samples) - 2 * SINC_REACH) / count)
    whole = places.astype(int)
    index = whole[:, None] + np.arange(1 - SINC_REACH, SINC_REACH + 1)
    distance = places[:, None] - index
    weights = np.sinc(distance) * np.cos(0.5 * np.pi * distance / SINC_REACH) ** 2
    stretched: np.ndarray = (weights * samples[index]).sum(axis=1).astype(np.float32)
    return stretched
