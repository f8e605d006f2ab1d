"""Sound in, films out: everything that touches FFmpeg (through PyAV).

``read_audio``      any file with sound -> 16 kHz mono
``AudioResampler``  the same for a live stream, chunk by chunk
``Mp4Writer``       frames and speech -> an mp4 that says that it is AI-generated
"""

import os
import struct
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
from av.container import InputContainer, OutputContainer

from lsp_ros.errors import LspError
from lsp_ros.timeline import SAMPLE_RATE

AI_GENERATED = 'AI-generated: synthetic talking head made from speech with Live Speech Portraits (lsp_ros).'
# IPTC's term for media created by a trained model; what EU and platform rules ask programs to look for.
DIGITAL_SOURCE_TYPE = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'

_IPTC_EXTENSION = 'http://iptc.org/std/Iptc4xmpExt/2008-02-29/'
_XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:ext="{_IPTC_EXTENSION}" ext:DigitalSourceType="{DIGITAL_SOURCE_TYPE}"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
_XMP_UUID = bytes.fromhex('be7acfcb97a942e89c71999491e3afac')  # the box type of XMP in ISO media files


class MediaError(LspError, ValueError):
    """A sound or film file that cannot be read or written; one sentence."""


class AudioResampler:
    """A live stream of any rate and channel count -> 16 kHz mono (or another rate ``to``), without drift.

    N samples pushed at ``rate`` give exactly ceil(N * to / rate) by the time of ``flush``, the
    same values in whatever chunks they came. Until then the filter holds back up to 2 ms.
    Channels are averaged.
    """

    def __init__(self, rate: int, channels: int = 1, to: int = SAMPLE_RATE) -> None:
        for one in (rate, to):
            if not 1000 <= one <= 768_000:
                raise ValueError(f'The sample rate is {one} Hz; it must be from 1000 to 768000.')
        if channels < 1:
            raise ValueError(f'The sound has {channels} channels; it must have at least 1.')
        self.rate, self.to = int(rate), int(to)
        self.channels = int(channels)
        self.reset()

    def reset(self) -> None:
        """Forgets the stream."""
        self._filter = av.AudioResampler(format='flt', layout='mono', rate=self.to)
        self._pushed = 0
        self._returned = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """(n,) mono or (n, channels) floats in -1..1 -> the samples that are ready, (m,) float32."""
        samples = np.asarray(samples, np.float32)
        if samples.ndim == 1 and self.channels == 1:
            samples = samples[:, None]
        if samples.ndim != 2 or samples.shape[1] != self.channels:
            raise ValueError(f'The samples have the shape {samples.shape}; this stream has {self.channels} channels.')
        ready = self._run(samples.mean(axis=1))
        self._pushed += len(samples)
        self._returned += len(ready)
        return ready

    def flush(self) -> np.ndarray:
        """The rest of the stream, which ends here; the next push starts a new one."""
        due = -(-self._pushed * self.to // self.rate) - self._returned
        # Silence pushes out what the filter holds back; what is not due is the silence itself.
        rest = self._run(np.zeros(self.rate // 20, np.float32))[:due] if due else np.zeros(0, np.float32)
        self.reset()
        return rest

    def _run(self, mono: np.ndarray) -> np.ndarray:
        if self.rate == self.to or not len(mono):
            return mono
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), format='flt', layout='mono')
        frame.sample_rate = self.rate
        frame.time_base = Fraction(1, self.rate)
        frame.pts = self._pushed
        parts = [part.to_ndarray()[0] for part in self._filter.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def read_audio(path: str | os.PathLike[str]) -> np.ndarray:
    """The first sound track of any file that FFmpeg reads, (n,) float32 mono 16 kHz in -1..1.

    Channels are averaged. Packets that are damaged within a good file are replaced by silence, with
    a warning. Raises MediaError for a file that is missing, holds no sound or cannot be decoded.
    """
    path = Path(path)
    if not path.exists():
        raise MediaError(f'{path}: there is no such file.')
    if path.is_dir():
        raise MediaError(f'{path}: is a folder, not a sound file.')
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise MediaError(f'{path}: has no sound track.')
            samples = _decode(container, path)
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f'{path}: cannot be read as sound ({_reason(error)}).') from None
    if not len(samples):
        raise MediaError(f'{path}: its sound track is empty.')
    if not np.isfinite(samples).all():
        raise MediaError(f'{path}: its sound has values that are not finite.')
    return samples.clip(-1, 1)


def _decode(container: InputContainer, path: Path) -> np.ndarray:
    stream = container.streams.audio[0]
    to_float: av.AudioResampler | None = None
    resampler: AudioResampler | None = None
    form: tuple[int, str, str] | None = None
    parts: list[np.ndarray] = []
    damaged, reason = 0, ''
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:
            damaged, reason = damaged + 1, _reason(error)
            continue
        for frame in frames:
            if form != (frame.sample_rate, frame.layout.name, frame.format.name):
                if resampler:  # a chained stream may change its form; its clock then starts anew
                    parts.append(resampler.flush())
                form = (frame.sample_rate, frame.layout.name, frame.format.name)
                to_float = av.AudioResampler(format='fltp', layout=frame.layout.name, rate=frame.sample_rate)
                resampler = AudioResampler(frame.sample_rate, len(frame.layout.channels))
                origin, position = frame.pts, 0
            assert resampler and to_float
            gap = _gap(frame, origin, position)
            if gap:
                parts.append(resampler.push(np.zeros((gap, resampler.channels), np.float32)))
            parts += [resampler.push(part.to_ndarray().T) for part in to_float.resample(frame)]
            position += gap + frame.samples
    if resampler:
        parts.append(resampler.flush())
    elif damaged:
        raise MediaError(f'{path}: its sound cannot be decoded ({reason}).')
    if damaged:
        warnings.warn(f'{path}: {damaged} damaged packets were replaced by silence.', stacklevel=3)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _gap(frame: av.AudioFrame, origin: int | None, position: int) -> int:
    """Samples that are missing before a frame, by its time stamp; what comes after must not slip forward."""
    if frame.pts is None or frame.time_base is None or origin is None:
        return 0
    gap = round((frame.pts - origin) * frame.time_base * frame.sample_rate) - position
    # Containers that count in milliseconds are never exact; a leap of minutes is a broken stamp, not a pause.
    tolerance = 0 if frame.time_base == Fraction(1, frame.sample_rate) else frame.sample_rate // 50
    return gap if tolerance < gap < 60 * frame.sample_rate else 0


def _reason(error: Exception) -> str:
    return getattr(error, 'strerror', None) or str(error)


class Mp4Writer:
    """Writes an mp4 (H.264 yuv420p and AAC) whose picture and sound stay in exact sync.

    Frame i is shown from i / frame_rate on and sample j is heard at j / sample_rate: both carry
    integer time stamps, nothing is accumulated. The file is marked as AI-generated, in its tags and
    as IPTC DigitalSourceType in XMP. As a context manager it closes itself; what was written until
    an exception or Ctrl-C is a playable film.

    ``crf`` is x264's quality (18: hardly a visible loss), ``preset`` its speed. With ``fragments`` a
    film can be watched even if its writer is killed, but for its last seconds. Raises MediaError if
    the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        frame_rate: int,
        sample_rate: int = SAMPLE_RATE,
        size: tuple[int, int] = (512, 512),
        crf: int = 18,
        preset: str = 'veryfast',
        title: str | None = None,
        threads: int = 0,
        fragments: bool = False,
    ) -> None:
        self.path = Path(path)
        self.frame_rate = frame_rate
        self.sample_rate = sample_rate
        self.size = size
        self.samples = 0  # written so far
        self.next_frame = 0
        self._broken = False
        self._container: OutputContainer | None = None  # None when closed
        if not self.path.parent.is_dir():
            raise MediaError(f'{self.path}: the folder {self.path.parent} does not exist.')
        try:
            self.path.open('wb').close()  # FFmpeg would notice only at the first packet
            # Hybrid: fragments while it is written, an ordinary film once it is finished. The head waits for the first
            # packets, which say how much of the sound is the codec's own beginning.
            flags = 'hybrid_fragmented+frag_keyframe+delay_moov' if fragments else 'faststart'
            container = av.open(str(self.path), 'w', format='mp4', options={'movflags': flags})
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f'{self.path}: cannot be written ({_reason(error)}).') from None
        self._container = container
        container.metadata.update({'comment': AI_GENERATED, 'description': AI_GENERATED})
        if title:
            container.metadata['title'] = title
        self._video = container.add_stream('libx264', rate=frame_rate)
        self._video.width, self._video.height = size
        self._video.pix_fmt = 'yuv420p'
        self._video.options = {'crf': str(crf), 'preset': preset}
        context = self._video.codec_context
        context.time_base = Fraction(1, frame_rate)
        context.max_b_frames = 0  # the first picture's time stamp is then 0 for every reader
        context.gop_size = 2 * frame_rate
        context.thread_count = threads
        # Say which colours these are: left open, players guess by the size of the picture.
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1
        self._audio = container.add_stream('aac', rate=sample_rate)
        self._audio.codec_context.layout = 'mono'
        self._audio.codec_context.format = 'fltp'
        self._audio.codec_context.time_base = Fraction(1, sample_rate)
        self._audio.bit_rate = 64_000 if sample_rate <= 16_000 else 128_000

    def write_frame(self, image: np.ndarray, index: int | None = None) -> None:
        """One picture, (height, width, 3) uint8 RGB.

        ``index`` is its place on the film's timeline (default: the next one). Where places are left
        out, the picture before them stays.
        """
        index = self.next_frame if index is None else int(index)
        width, height = self.size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f'The picture is {image.shape} {image.dtype}; it must be ({height}, {width}, 3) uint8.')
        if index < self.next_frame:
            raise ValueError(f'Picture {index} comes after picture {self.next_frame - 1}; places must increase.')
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
        picture = picture.reformat(format='yuv420p', dst_colorspace='ITU709', dst_color_range='MPEG')
        picture.pts = index
        picture.time_base = Fraction(1, self.frame_rate)
        self._mux(self._video.encode(picture))
        self.next_frame = index + 1

    def write_audio(self, samples: np.ndarray) -> None:
        """The next samples, (n,) floats in -1..1 at ``sample_rate``."""
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1:
            raise ValueError(f'The samples have the shape {samples.shape}; they must be one mono row.')
        if not len(samples):
            return
        sound = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None].clip(-1, 1)), format='fltp', layout='mono'
        )
        sound.sample_rate = self.sample_rate
        sound.time_base = Fraction(1, self.sample_rate)
        sound.pts = self.samples
        self._mux(self._audio.encode(sound))
        self.samples += len(samples)

    def close(self) -> None:
        """Finishes the file, as far as it goes where writing failed. A film without any picture is not kept."""
        if self._container is None:
            return
        container, self._container = self._container, None
        try:
            if self.next_frame and not self._broken:  # FFmpeg does not survive a packet after one that failed
                for stream in (self._video, self._audio):
                    for packet in stream.encode(None):
                        container.mux(packet)
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            if not self._broken:  # otherwise that was said before
                raise MediaError(f'{self.path}: cannot be finished ({_reason(error)}).') from None
        if self._broken:
            return
        if not self.next_frame:
            self.path.unlink(missing_ok=True)
            return
        payload = _XMP_UUID + _XMP.encode()
        with open(self.path, 'ab') as file:
            file.write(struct.pack('>I4s', 8 + len(payload), b'uuid') + payload)

    def _mux(self, packets: 'list[av.Packet[Any]]') -> None:
        try:
            for packet in packets:
                assert self._container
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            self._broken = True
            raise MediaError(f'{self.path}: cannot be written ({_reason(error)}).') from None

    def __enter__(self) -> 'Mp4Writer':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def digital_source_type(path: str | os.PathLike[str]) -> str | None:
    """The IPTC DigitalSourceType that an mp4 states about itself in XMP; None where it says nothing."""
    with open(path, 'rb') as file:
        end = file.seek(0, os.SEEK_END)
        position = 0
        while position + 8 <= end:
            file.seek(position)
            size, kind = struct.unpack('>I4s', file.read(8))
            header = 8
            if size == 1:
                size, header = struct.unpack('>Q', file.read(8))[0], 16
            if kind == b'uuid' and file.read(16) == _XMP_UUID:
                text = file.read(size - header - 16).decode().strip('\ufeff \n')
                for element in ElementTree.fromstring(text).iter():
                    value = element.get(f'{{{_IPTC_EXTENSION}}}DigitalSourceType')
                    if value:
                        return value
            if size < header:  # 0: this box reaches to the end of the file
                return None
            position += size
    return None
