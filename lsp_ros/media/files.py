"""Opening sound and films by any name, and which of a file's tracks counts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from lsp_ros.errors import LspError

AnyStream = TypeVar('AnyStream', AudioStream, VideoStream)


class MediaError(LspError, ValueError):
    """A sound or film file that cannot be read or written; one sentence."""


def ffmpeg_name(path: str | os.PathLike[str]) -> str:
    """The name by which FFmpeg takes a path for a file, whatever it holds: ``take:1.mp4`` would be a protocol."""
    return f'file:{os.fspath(path)}'


def reason(error: Exception) -> str:
    """What an error of FFmpeg or of the system says, without its number and the file's name."""
    return getattr(error, 'strerror', None) or str(error)


@contextmanager
def opened(path: Path, kind: str) -> Iterator[InputContainer]:
    """A file to read; ``kind`` ('sound', 'video') is what it is expected to be.

    Errors of FFmpeg and of the system within the body become a MediaError.
    """
    if not path.exists():
        raise MediaError(f'{path}: there is no such file.')
    if path.is_dir():
        raise MediaError(f'{path}: is a folder, not a {"film" if kind == "video" else "sound file"}.')
    try:
        with av.open(ffmpeg_name(path)) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f'{path}: cannot be read as {kind} ({reason(error)}).') from None


def _players_choice(readable: list[AnyStream], best: object) -> AnyStream:
    """What FFmpeg calls the best track where it can be decoded, else the one with the default flag, else the first."""
    default_first = sorted(readable, key=lambda track: not track.disposition & Disposition.default)
    return next((track for track in readable if track is best), default_first[0])


def sound_track(container: InputContainer, path: Path) -> AudioStream:
    """The track that players take: by its default flag, of those that can be decoded. Raises MediaError."""
    tracks = container.streams.audio
    if not tracks:
        raise MediaError(f'{path}: has no sound track.')
    readable = [track for track in tracks if track.codec_context is not None]
    if not readable:
        raise MediaError(f'{path}: its sound is in a format that cannot be decoded here: save it as AAC or WAV.')
    return _players_choice(readable, container.streams.best('audio'))


def picture_track(container: InputContainer, path: Path) -> VideoStream:
    """The track of pictures that players show; a cover is none. Raises MediaError."""
    tracks = [track for track in container.streams.video if not track.disposition & Disposition.attached_pic]
    if not tracks:
        raise MediaError(f'{path}: has no pictures.')
    readable = [track for track in tracks if track.codec_context is not None]
    if not readable:
        raise MediaError(f'{path}: its pictures are in a format that cannot be decoded here: save it as H.264.')
    return _players_choice(readable, container.streams.best('video'))
