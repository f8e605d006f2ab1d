"""Writing films that say of themselves that they are AI-generated, and reading what a film says of that."""

import errno
import os
import secrets
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
from av.container import OutputContainer

from lsp_ros.media.files import MediaError, ffmpeg_name, reason
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


class Mp4Writer:
    """Writes an mp4 (H.264 yuv420p and AAC) whose picture and sound stay in exact sync.

    Frame i is shown from i / frame_rate on and sample j is heard at j / sample_rate: both carry
    integer time stamps, nothing is accumulated. The file is marked as AI-generated, in its tags and
    as IPTC DigitalSourceType in XMP. As a context manager it closes itself; what was written until
    an exception or Ctrl-C is a playable film.

    A film that is there already stays until the new one is finished: the new one is written beside it
    and takes its name in ``close``. If writing fails, or anything but Ctrl-C ends the context, the old
    one is kept and the new one dropped.

    ``crf`` is x264's quality (18: hardly a visible loss), ``preset`` its speed. With ``fragments`` a
    film can be watched even if its writer is killed, but for its last seconds; one that was to replace
    another then has ``.unfinished`` in its name. Raises MediaError if the file cannot be written.
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
        self._replaces = self.path.is_file() and self.path.stat().st_size > 0
        self._writes = _beside(self.path.resolve(), visible=fragments) if self._replaces else self.path
        try:
            if self._replaces and not os.access(self.path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._writes.open('wb').close()  # FFmpeg would notice only at the first packet
            # Hybrid: fragments while it is written, an ordinary film once it is finished. The head waits for the first
            # packets, which say how much of the sound is the codec's own beginning.
            flags = 'hybrid_fragmented+frag_keyframe+delay_moov' if fragments else 'faststart'
            container = av.open(ffmpeg_name(self._writes), 'w', format='mp4', options={'movflags': flags})
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f'{self.path}: cannot be written ({reason(error)}).') from None
        self._container = container
        container.metadata.update({'comment': AI_GENERATED, 'description': AI_GENERATED})
        if title:
            # Tags are UTF-8; what a name of other bytes cannot say in it is left out.
            container.metadata['title'] = title.encode('utf-8', 'ignore').decode()
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
        self._close()

    def _close(self, keep: bool = True) -> None:
        """``keep``: the new film takes the place of one that was there before."""
        if self._container is None:
            return
        container, self._container = self._container, None
        finished = False
        try:
            if self.next_frame and not self._broken:  # FFmpeg does not survive a packet after one that failed
                for stream in (self._video, self._audio):
                    for packet in stream.encode(None):
                        container.mux(packet)
            container.close()
            finished = not self._broken
            if finished and self.next_frame:
                payload = _XMP_UUID + _XMP.encode()
                with open(self._writes, 'ab') as file:
                    file.write(struct.pack('>I4s', 8 + len(payload), b'uuid') + payload)
                if self._replaces and keep:
                    self._writes.replace(self.path.resolve())
        except (av.error.FFmpegError, OSError) as error:
            finished = False
            if not self._broken:  # otherwise that was said before
                raise MediaError(f'{self.path}: cannot be finished ({reason(error)}).') from None
        finally:
            if self._replaces or (finished and not self.next_frame):
                self._writes.unlink(missing_ok=True)

    def _mux(self, packets: 'list[av.Packet[Any]]') -> None:
        try:
            for packet in packets:
                assert self._container
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            self._broken = True
            raise MediaError(f'{self.path}: cannot be written ({reason(error)}).') from None

    def __enter__(self) -> 'Mp4Writer':
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(keep=kind is None or issubclass(kind, KeyboardInterrupt))


def _beside(path: Path, visible: bool) -> Path:
    """Where the film that will replace ``path`` is written; ``visible``: it can be watched if that never happens."""
    token = secrets.token_hex(4)
    return path.with_name(f'{path.stem}.unfinished-{token}{path.suffix}' if visible else f'.writing-{token}.mp4')


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
