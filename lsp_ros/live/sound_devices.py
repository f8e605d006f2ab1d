"""Sound in and out: a microphone and a loudspeaker that may be absent or be unplugged at any time.

The library of the sound card may be absent too, so it is imported when a device is opened.
"""

import atexit
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.jitter_buffer import JitterBuffer

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

    def __init__(self, name: str, tell: Callable[[str], None], warn: Callable[[str], None]) -> None:
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
                with self._portaudio() as begun:
                    self._serve(begun)
            except Exception as error:  # PortAudioError has no base class, and the library itself may be missing
                self._miss(error)
            self._stopped.wait(RETRY_SECONDS)

    @contextlib.contextmanager
    def _portaudio(self) -> Iterator[Callable[[], None]]:
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
        alive_until = time.monotonic() + SECONDS_TO_BEGIN - DEAD_SECONDS
        with self._open(sounddevice, device) as stream:
            begun()
            found = sounddevice.query_devices(stream.device)['name']
            self._tell(f'{self.kind} {found!r} at {stream.samplerate:g} Hz')
            while not self._stopped.wait(0.1):
                if not stream.active or time.monotonic() - max(self._alive_at, alive_until) > DEAD_SECONDS:
                    self._miss(f'{found!r} stopped')  # at once: closing it may take long
                    break

    def _miss(self, why: object) -> None:
        wanted = f'{self.kind} {self.name!r}' if self.name else self.kind
        self._warn(f'no {wanted} ({_one_line(why)}), trying again every {RETRY_SECONDS:g} s')

    def _open(self, sounddevice: Any, device: int | str | None) -> Any:
        """A stream of that device, not started; the module itself is handed in, as it may be missing."""
        raise NotImplementedError


def accepted(sounddevice: Any, check: Callable[..., None], found: dict[str, Any]) -> tuple[int, int]:
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

    def __init__(
        self, name: str, buffer: JitterBuffer, tell: Callable[[str], None], warn: Callable[[str], None]
    ) -> None:
        super().__init__(name, tell, warn)
        self._buffer = buffer

    def _open(self, sounddevice: Any, device: int | str | None) -> Any:
        found = sounddevice.query_devices(device, 'input')
        rate, channels = accepted(sounddevice, sounddevice.check_input_settings, found)
        resampler = None
        if (rate, channels) != (timeline.SAMPLE_RATE, 1):
            from lsp_ros.media.resampling import AudioResampler

            resampler = AudioResampler(rate, channels)

        def heard(block: np.ndarray, _frames: int, _time: Any, _status: Any) -> None:
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

    def __init__(
        self,
        name: str,
        fetch: Callable[[int, float], np.ndarray],
        tell: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        super().__init__(name, tell, warn)
        self._fetch = fetch

    def _open(self, sounddevice: Any, device: int | str | None) -> Any:
        found = sounddevice.query_devices(device, 'output')
        rate, channels = accepted(sounddevice, sounddevice.check_output_settings, found)
        fetch = self._fetch if rate == timeline.SAMPLE_RATE else AtRate(self._fetch, rate)

        def wanted(block: np.ndarray, frames: int, when: Any, _status: Any) -> None:
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

    def __init__(self, fetch: Callable[[int, float], np.ndarray], rate: int) -> None:
        from lsp_ros.media.resampling import AudioResampler

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


def _one_line(why: object) -> str:
    return ' '.join(str(why).split()).rstrip('.')
