"""Small films and sounds that tests make: tone and click, flash, and what cameras do to them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def tone(rate: int, seconds: float, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def write_flashes(
    path: Path, seconds: int, pace: float = 1.0, moments: Sequence[float] = (), container: str | None = None
) -> Path:
    """A film of 25 pictures a second and 8 kHz sound: at each moment a bright picture, and a beep.

    pace  seconds of the stamps for a second of the sound card
    """
    rate, codec = 8000, 'aac' if str(path).endswith('.ts') else 'pcm_s16le'
    with av.open(f'file:{path}', 'w', format=container) as out:
        video, audio = out.add_stream('libx264', rate=25), out.add_stream(codec, rate=rate)
        video.width = video.height = 64
        video.pix_fmt, video.options, audio.layout = 'yuv420p', {'preset': 'ultrafast', 'bf': '0'}, 'mono'
        sound = np.zeros(int(seconds * rate / pace), np.float32)
        for moment in moments:
            first = int(moment * rate / pace)
            sound[first : first + 80] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(80) / rate)
        bright = {round(moment * 25) for moment in moments}
        block = 160 if codec.startswith('pcm') else 1024
        events = [(k / 25, 0, k) for k in range(seconds * 25)]
        events += [(first * pace / rate, 1, first) for first in range(0, len(sound) - block + 1, block)]
        for _, kind, k in sorted(events):
            if kind == 0:
                picture = np.full((64, 64, 3), 230 if k in bright else 20, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format='rgb24').reformat(format='yuv420p')
                frame.pts, frame.time_base = k, Fraction(1, 25)
                out.mux(video.encode(frame))
                continue
            part = sound[None, k : k + block]
            if codec.startswith('pcm'):
                heard = av.AudioFrame.from_ndarray((part * 32767).astype(np.int16), format='s16', layout='mono')
            else:
                heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format='fltp', layout='mono')
            heard.sample_rate, heard.pts, heard.time_base = rate, round(k * pace), Fraction(1, rate)
            out.mux(audio.encode(heard))
        for stream in (video, audio):
            out.mux(stream.encode(None))
    return path


def write_tracks(path: Path, hertz: Sequence[float], default: int | None = None) -> Path:
    """A file with a track of sound for each tone; one of them has the default flag."""
    with av.open(f'file:{path}', 'w') as out:
        tracks = [out.add_stream('aac', rate=48_000) for _ in hertz]
        for k, track in enumerate(tracks):
            track.layout = 'mono'
            if default is not None:
                track.disposition = av.stream.Disposition.default if k == default else av.stream.Disposition(0)
        for track, pitch in zip(tracks, hertz, strict=True):
            frame = av.AudioFrame.from_ndarray(tone(48_000, 0.5, pitch)[None], format='fltp', layout='mono')
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            out.mux(track.encode(frame))
            out.mux(track.encode(None))
    return path


def pitch(samples: np.ndarray) -> int:
    """The loudest tone of a sound at 16 kHz, to 10 Hz."""
    spectrum = np.abs(np.fft.rfft(samples[1600:4800] * np.hanning(3200)))
    return round(int(spectrum.argmax()) * 5 / 10) * 10
