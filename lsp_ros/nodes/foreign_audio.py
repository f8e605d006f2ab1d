"""Other packages' audio messages -> their bytes and how they are to be read.

Two packages share the name audio_common_msgs and neither need be installed, so a message is known by its fields and
nothing is imported. ValueError with one sentence says what is wrong with a message, and what is allowed.
"""

from typing import Any

import numpy as np

from lsp_ros.live.pcm import CODED, ENCODINGS, AudioFormat, to_bytes

S16_MONO = AudioFormat()
PLAIN = ('', 'wave', 'wav', 'raw', 'pcm')  # what ros-drivers' coding_format says of sampled sound
PCM_NAMES = {'pcm-s16': 'S16LE'}  # foxglove
ARRAYS = {  # mgonzs13: field of audio_data, PortAudio's number of its sample format, encoding
    'float32_data': (1, 'F32LE'),
    'int32_data': (2, 'S32LE'),
    'int16_data': (8, 'S16LE'),
    'int8_data': (16, 'S8'),
    'uint8_data': (32, 'U8'),
}
NUMBERS = {'h': 'S16LE', 'H': 'U16LE', 'i': 'S32LE', 'f': 'F32LE', 'd': 'F64LE'}  # std_msgs' arrays, by their type code


def foreign_audio_from_message(message: Any, assumed: AudioFormat = S16_MONO) -> tuple[np.ndarray, AudioFormat]:
    """The bytes (n,) uint8 and their format from any of these messages, recognised by their fields.

    lsp_ros/AudioChunk; ros-drivers' AudioData and AudioDataStamped (read as `assumed`), and std_msgs' arrays of bytes
    or numbers likewise; mgonzs13's Audio and AudioStamped; foxglove_msgs/RawAudio.
    """
    if hasattr(message, 'samples') and hasattr(message, 'first_sample'):
        return to_bytes(message.samples, 'F32LE'), AudioFormat(message.sample_rate, 1, 'F32LE')
    if hasattr(message, 'number_of_channels') and hasattr(message, 'format'):
        encoding = PCM_NAMES.get(message.format)
        if encoding is None:
            raise ValueError(f'RawAudio format {message.format!r}: {", ".join(PCM_NAMES)} is allowed')
        return _bytes(message.data), AudioFormat(message.sample_rate, message.number_of_channels, encoding)
    if hasattr(message, 'audio_data') and hasattr(message, 'info'):
        data, encoding = _from_arrays(message.audio_data, message.info.format)
        return data, AudioFormat(message.info.rate, message.info.channels, encoding)
    if hasattr(message, 'audio'):
        return foreign_audio_from_message(message.audio, assumed)
    if hasattr(message, 'data'):
        encoding = NUMBERS.get(getattr(message.data, 'typecode', ''))
        if encoding:
            return to_bytes(message.data, encoding), AudioFormat(assumed.rate, assumed.channels, encoding)
        return _bytes(message.data), assumed
    raise ValueError(f'{type(message).__name__} is not an audio message that is known here')


def says_no_format(message: Any) -> bool:
    """Whether it carries plain bytes: their rate, channels and encoding have to be known from elsewhere."""
    message = getattr(message, 'audio', message)
    return hasattr(message, 'data') and not hasattr(message, 'number_of_channels')


def format_from_info(info: Any) -> AudioFormat:
    """The format in ros-drivers' AudioInfo; ValueError for one that cannot be read."""
    coding = info.coding_format.lower()
    if coding.upper() in CODED:
        return AudioFormat(info.sample_rate, info.channels, coding.upper())
    if coding not in PLAIN:
        allowed = ', '.join(('wave', *(name.lower() for name in CODED)))
        raise ValueError(f'audio coded as {info.coding_format!r}: {allowed} are allowed as coding_format')
    encoding = (info.sample_format or 'S16LE').upper()
    if encoding not in ENCODINGS:
        raise ValueError(f'audio sample format {info.sample_format!r}: {", ".join(ENCODINGS)} are allowed')
    audio_format = AudioFormat(info.sample_rate, info.channels, encoding)
    audio_format.check()
    return audio_format


def _bytes(data: Any) -> np.ndarray:
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], bytes):  # as rclpy gives an array of `byte`
        data = b''.join(data)
    if isinstance(data, (bytes, bytearray)):
        return np.frombuffer(data, dtype=np.uint8)
    values: np.ndarray = np.asarray(data)
    if values.ndim != 1 or (len(values) and values.dtype.kind not in 'iu'):
        raise ValueError(f'audio bytes as {type(data).__name__}: an array of bytes is needed')
    return values.astype(np.uint8)


def _from_arrays(data: Any, number: int) -> tuple[np.ndarray, str]:
    for field, (portaudio, encoding) in ARRAYS.items():
        if portaudio == number:
            return to_bytes(getattr(data, field), encoding), encoding
    raise ValueError(f'audio sample format {number}: {[number for number, _ in ARRAYS.values()]} are allowed')
