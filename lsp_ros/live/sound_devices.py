"""Sound in and out: a microphone and a loudspeaker that may be absent or be unplugged at any time; no ROS in it.

The library of the sound card may be absent too, so it is imported when a device is opened.
"""

import atexit
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.streams import PacedBuffer

RETRY_SECONDS = 2.0
SECONDS_TO_BEGIN = 4.0  # a wireless headset has to change over first
DEAD_SECONDS = 1.0  # a device that then gives or takes nothing for so long is gone
BLOCKS_PER_SECOND = 100
PORTAUDIO = threading.Lock()  # one device at a time: looking for devices ends every stream of the process
NO_ANSWER = 'the sound system does not answer'


class Device:
    """Keeps one PortAudio stream open in a thread of its own, and tries again where that fails.

    A sound server that hangs holds up that thread alone: neither who calls nor the end of the process waits for it.
    """

    kind = channels = ''

    def __init__(self, name: str, tell: Callable[[str], None], warn: Callable[[str], None]):
        self.name, self._tell, self._warn = name, tell, warn
        self._stopped = threading.Event()
        self._alive_at = 0.0
        self._thread = threading.Thread(target=self._run, name=self.kind, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=2 * DEAD_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._patience() as begun:
                    self._serve(begun)
            except Exception as error:  # PortAudioError has no base class, and the library itself may be missing
                self._miss(error)
            self._stopped.wait(RETRY_SECONDS)

    @contextlib.contextmanager
    def _patience(self) -> Iterator[Callable[[], None]]:
        """PortAudio is ours within; what is yielded is to be called once the device is open, or its lack is told."""
        if not PORTAUDIO.acquire(timeout=SECONDS_TO_BEGIN):
            raise OSError(NO_ANSWER)
        errors = os.dup(2)

        def tell() -> None:
            os.dup2(errors, 2)  # while PortAudio starts, sounddevice hides what it, and everybody else, writes there
            self._miss(NO_ANSWER)

        late = threading.Timer(SECONDS_TO_BEGIN, tell)
        late.daemon = True
        late.start()
        try:
            yield late.cancel
        finally:
            late.cancel()
            late.join()
            os.close(errors)
            PORTAUDIO.release()

    def _serve(self, begun: Callable[[], None]) -> None:
        import sounddevice

        # The process may end while this thread hangs within PortAudio: nothing then waits for it or unloads it.
        atexit.unregister(sounddevice._exit_handler)
        ctypes.CDLL(sounddevice._libname)
        if sounddevice._initialized:
            sounddevice._terminate()  # PortAudio looks for devices only when it starts: so a plugged-in one shows
        sounddevice._initialize()
        if not any(found[self.channels] for found in sounddevice.query_devices()):
            raise OSError('the system has none')
        device = int(self.name) if self.name.isdigit() else self.name or None
        # The first calls may only fill a buffer: what counts is what comes once the device has had time to begin.
        patience = time.monotonic() + SECONDS_TO_BEGIN - DEAD_SECONDS
        with self._open(sounddevice, device) as stream:
            begun()
            found = sounddevice.query_devices(stream.device)['name']
            self._tell(f'{self.kind} {found!r} at {stream.samplerate:g} Hz')
            while not self._stopped.wait(0.1):
                if not stream.active or time.monotonic() - max(self._alive_at, patience) > DEAD_SECONDS:
                    self._miss(f'{found!r} stopped')  # at once: closing it may take long
                    break

    def _miss(self, why: object) -> None:
        wanted = f'{self.kind} {self.name!r}' if self.name else self.kind
        self._warn(f'no {wanted} ({_one_line(why)}), trying again every {RETRY_SECONDS:g} s')

    def _open(self, sounddevice, device):
        raise NotImplementedError


def accepted(sounddevice, check: Callable, found: dict) -> tuple[int, int]:
    """Sample rate and channels for a device: 16 kHz mono, or what it can do itself. Most cards themselves do 44.1 or
    48 kHz only, and some stereo only. Raises what PortAudio says where nothing fits."""
    own = int(found['default_samplerate'])
    *trials, last = (timeline.SAMPLE_RATE, 1), (own, 1), (own, 2)
    for rate, channels in trials:
        with contextlib.suppress(sounddevice.PortAudioError):
            check(found['index'], channels=channels, dtype='float32', samplerate=rate)
            return rate, channels
    check(found['index'], channels=last[1], dtype='float32', samplerate=last[0])
    return last


class Microphone(Device):
    """Puts what it hears into a buffer, at 16 kHz."""

    kind, channels = 'microphone', 'max_input_channels'

    def __init__(self, name: str, buffer: PacedBuffer, tell: Callable, warn: Callable):
        super().__init__(name, tell, warn)
        self._buffer = buffer

    def _open(self, sounddevice, device):
        found = sounddevice.query_devices(device, 'input')
        rate, channels = accepted(sounddevice, sounddevice.check_input_settings, found)
        resampler = None
        if (rate, channels) != (timeline.SAMPLE_RATE, 1):
            from lsp_ros.media import AudioResampler

            resampler = AudioResampler(rate, channels)

        def heard(block, _frames, _time, _status) -> None:
            self._alive_at = time.monotonic()
            samples = block[:, 0].copy() if resampler is None else resampler.push(block)
            self._buffer.push(np.nan_to_num(samples), self._alive_at)

        block = rate // BLOCKS_PER_SECOND
        return sounddevice.InputStream(
            rate, block, device, channels=channels, dtype='float32', latency='low', callback=heard
        )


class Loudspeaker(Device):
    """Plays ``fetch(count, delay_seconds)``: the `count` samples that will be heard after that delay."""

    kind, channels = 'loudspeaker', 'max_output_channels'

    def __init__(self, name: str, fetch: Callable[[int, float], np.ndarray], tell: Callable, warn: Callable):
        super().__init__(name, tell, warn)
        self._fetch = fetch

    def _open(self, sounddevice, device):
        found = sounddevice.query_devices(device, 'output')
        rate, channels = accepted(sounddevice, sounddevice.check_output_settings, found)
        fetch = self._fetch if rate == timeline.SAMPLE_RATE else AtRate(self._fetch, rate)

        def wanted(block, frames, when, _status) -> None:
            self._alive_at = time.monotonic()
            delay = when.outputBufferDacTime - when.currentTime
            if not 0 < delay < 1:  # some drivers do not know
                delay = stream.latency
            block[:] = fetch(frames, delay)[:, None]

        block = rate // BLOCKS_PER_SECOND
        stream = sounddevice.OutputStream(rate, block, device, channels=channels, dtype='float32', callback=wanted)
        return stream


class AtRate:
    """What ``fetch`` gives at 16 kHz, at another rate: the same sound at the same time, in whatever blocks."""

    def __init__(self, fetch: Callable[[int, float], np.ndarray], rate: int):
        from lsp_ros.media import AudioResampler

        self._fetch, self._rate = fetch, rate
        self._resampler = AudioResampler(timeline.SAMPLE_RATE, to=rate)
        self._asked = 0  # samples at ``rate``
        self._ready = np.zeros(rate // 200, np.float32)  # 5 ms of silence: more than the filter ever holds back

    def __call__(self, count: int, delay: float) -> np.ndarray:
        """(count,) samples that will be heard after ``delay`` seconds."""
        due = self._asked * timeline.SAMPLE_RATE // self._rate
        self._asked += count
        more = self._asked * timeline.SAMPLE_RATE // self._rate - due
        samples = self._fetch(more, delay + 0.005) if more else np.zeros(0, np.float32)
        self._ready = np.concatenate([self._ready, self._resampler.push(samples)])
        now, self._ready = self._ready[:count], self._ready[count:]
        return now


class SoundTimeline:
    """The last seconds of sound, found again by their time on the ROS clock; what never came is silence."""

    FAR, NEAR = 480, 32  # samples: 30 ms is a jump, 2 ms is nothing
    FADE = 128  # 8 ms
    STRAY = 1600  # 100 ms of chunks may have been on their way when all was cancelled

    def __init__(self, seconds: int = 8):
        self._ring = np.zeros(seconds * timeline.SAMPLE_RATE, dtype=np.float32)
        self._lock = threading.Lock()
        self._epoch_ns: int | None = None
        self._end = 0
        self._cursor: int | None = None
        self._stray = 0  # samples that are still to be taken for silence
        self.jumps = 0

    def cancel(self) -> None:
        """Fade out what is being played, forget all that is known of what follows.

        Who publishes the sound does the same, but a chunk may be on its way: what comes counts as silence until one
        ends in silence.
        """
        with self._lock:
            size = len(self._ring)
            index = np.arange(max(self._cursor or 0, self._end - size), self._end)
            fade = np.zeros(len(index), dtype=np.float32)
            if self._cursor is not None:
                ramp = np.linspace(1, 0, self.FADE + 2, dtype=np.float32)[1:-1]
                fade[: self.FADE] = ramp[: len(fade)]
            self._ring[index % size] *= fade
            self._stray = self.STRAY

    def write(self, stamp_ns: int, samples: np.ndarray) -> None:
        with self._lock:
            if self._stray > 0 and len(samples):
                self._stray = self._stray - len(samples) if samples[-1] else 0
                samples = np.zeros_like(samples)
            size = len(self._ring)
            start = 0 if self._epoch_ns is None else self._index(stamp_ns)
            if self._epoch_ns is None or abs(start - self._end) > size:  # the first sound, or another clock
                self._epoch_ns, self._cursor, self._end, start = stamp_ns, None, 0, 0
            if start > self._end:
                self._ring[np.arange(self._end, start) % size] = 0
            samples = samples[-size:]
            self._ring[np.arange(start, start + len(samples)) % size] = samples
            self._end = max(self._end, start + len(samples))

    def read(self, stamp_ns: int, count: int) -> np.ndarray:
        """(count,) samples from that moment on."""
        with self._lock:
            return self._read(self._index(stamp_ns) if self._epoch_ns is not None else 0, count)

    def play(self, stamp_ns: int, count: int) -> tuple[np.ndarray, float]:
        """(count,) samples that go on from the last call, and by how many seconds they come early.

        A sound card's clock differs from ours by some parts per million: one sample in a call makes up for it.
        """
        with self._lock:
            if self._epoch_ns is None:
                return np.zeros(count, dtype=np.float32), 0.0
            wanted = self._index(stamp_ns)
            if self._cursor is None:
                self._cursor = wanted
            error = self._cursor - wanted
            if abs(error) > self.FAR:
                self.jumps += 1
                self._cursor = wanted
            elif abs(error) > self.NEAR:
                self._cursor -= 1 if error > 0 else -1
            samples = self._read(self._cursor, count)
            self._cursor += count
            return samples, error / timeline.SAMPLE_RATE

    def _read(self, first: int, count: int) -> np.ndarray:
        index = np.arange(first, first + count)
        known = (index < self._end) & (index >= max(0, self._end - len(self._ring)))
        return np.where(known, self._ring[index % len(self._ring)], np.float32(0))

    def _index(self, stamp_ns: int) -> int:
        return round((stamp_ns - self._epoch_ns) / timeline.NANOSECONDS_PER_SAMPLE)


def _one_line(why: object) -> str:
    return ' '.join(str(why).split()).rstrip('.')
