"""Other packages' audio messages -> mono samples.

Two packages share the name audio_common_msgs and neither need be installed, so a message is known by its fields and
nothing is imported. ValueError with one sentence says what is wrong with a message, and what is allowed.
"""

from typing import Any

import numpy as np

from lsp_ros.live.pcm import ENCODINGS, AudioFormat, from_bytes, from_numbers, to_mono

S16_MONO = AudioFormat()
PCM_NAMES = {'pcm-s16': 'S16LE'}  # foxglove
ARRAYS = {  # mgonzs13: field of audio_data, PortAudio's number of its sample format, encoding
    'float32_data': (1, 'F32LE'),
    'int32_data': (2, 'S32LE'),
    'int16_data': (8, 'S16LE'),
    'int8_data': (16, 'S8'),
    'uint8_data': (32, 'U8'),
}


def foreign_audio_from_message(message: Any, assumed: AudioFormat = S16_MONO) -> tuple[np.ndarray, int]:
    """Mono float32 samples (n,) and their rate in Hz from any of these messages, recognised by their fields.

    lsp_ros/AudioChunk; ros-drivers' AudioData and AudioDataStamped (read as `assumed`); mgonzs13's Audio and
    AudioStamped; foxglove_msgs/RawAudio.
    """
    if hasattr(message, 'samples') and hasattr(message, 'first_sample'):
        samples, rate, channels = np.asarray(message.samples, dtype=np.float32), message.sample_rate, 1
    elif hasattr(message, 'number_of_channels') and hasattr(message, 'format'):
        encoding = PCM_NAMES.get(message.format)
        if encoding is None:
            raise ValueError(f'RawAudio format {message.format!r}: {", ".join(PCM_NAMES)} is allowed')
        samples = from_bytes(message.data, encoding)
        rate, channels = message.sample_rate, message.number_of_channels
    elif hasattr(message, 'audio_data') and hasattr(message, 'info'):
        samples = _from_arrays(message.audio_data, message.info.format)
        rate, channels = message.info.rate, message.info.channels
    elif hasattr(message, 'audio'):
        return foreign_audio_from_message(message.audio, assumed)
    elif hasattr(message, 'data'):
        samples, rate, channels = from_bytes(message.data, assumed.encoding), assumed.rate, assumed.channels
    else:
        raise ValueError(f'{type(message).__name__} is not an audio message that is known here')
    return to_mono(samples, channels, rate), rate


def says_no_format(message: Any) -> bool:
    """Whether it carries plain bytes: their rate, channels and encoding have to be known from elsewhere."""
    message = getattr(message, 'audio', message)
    return hasattr(message, 'data') and not hasattr(message, 'number_of_channels')


def format_from_info(info: Any) -> AudioFormat:
    """The format in ros-drivers' AudioInfo; ValueError for coded (mp3) audio."""
    coding = info.coding_format.lower()
    if coding not in ('', 'wave', 'wav', 'raw', 'pcm'):
        raise ValueError(f'audio coded as {info.coding_format!r}: send plain PCM (coding_format wave)')
    encoding = (info.sample_format or 'S16LE').upper()
    if encoding not in ENCODINGS:
        raise ValueError(f'audio sample format {info.sample_format!r}: {", ".join(ENCODINGS)} are allowed')
    return AudioFormat(info.sample_rate, info.channels, encoding)


def _from_arrays(data: Any, number: int) -> np.ndarray:
    for field, (portaudio, encoding) in ARRAYS.items():
        if portaudio == number:
            return from_numbers(getattr(data, field), encoding)
    raise ValueError(f'audio sample format {number}: {[number for number, _ in ARRAYS.values()]} are allowed')
