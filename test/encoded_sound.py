"""Sound as other programs send it: sampled or coded, as a stream of bytes."""

import io

import av
import numpy as np

from lsp_ros.live.pcm import ENCODINGS


def encoded(samples, encoding):
    """Samples (n,) in -1..1 as the bytes of that encoding, written value by value."""
    form = ENCODINGS[encoding]
    order = 'little' if form.order == '<' else 'big'
    if form.kind == 'f':
        return np.frombuffer(samples.astype(form.dtype).tobytes(), np.uint8)
    full_scale = 2 ** (form.bits - 1)
    values = [min(round(float(sample) * full_scale), full_scale - 1) for sample in samples]
    if form.kind == 'u':
        values = [value + full_scale for value in values]
    parts = [value.to_bytes(form.width, order, signed=form.kind == 'i') for value in values]
    return np.frombuffer(b''.join(parts), np.uint8)


def tone(count, amplitude=0.2):
    return (amplitude * np.sin(np.arange(count) * 2 * np.pi * 200 / 24_000)).astype(np.float32)


def pieces(data, cuts):
    return np.split(data, sorted(cuts))


def coded(container, codec, count=16_000, rate=16_000):
    """A tone of amplitude 0.2 as a file of that kind."""
    file = io.BytesIO()
    with av.open(file, 'w', format=container) as opened:
        stream = opened.add_stream(codec, rate=rate)
        stream.layout = 'mono'
        frame = av.AudioFrame.from_ndarray(tone(count)[None], format='fltp', layout='mono')
        frame.sample_rate = rate
        size = stream.codec_context.frame_size
        cutter = av.AudioResampler(stream.codec_context.format, 'mono', rate, frame_size=size)
        for piece in [*cutter.resample(frame), *cutter.resample(None), None]:
            opened.mux(stream.encode(piece))
    return np.frombuffer(file.getvalue(), np.uint8)
