"""Sound in, films in and out: everything that touches FFmpeg (through PyAV), a file for each reason.

``read_audio``      any file with sound -> 16 kHz mono
``AudioResampler``  the same for a live stream, chunk by chunk
``Mp4Writer``       frames and speech -> an mp4 that says that it is AI-generated
"""

from lsp_ros.media.files import MediaError
from lsp_ros.media.film import AI_GENERATED, DIGITAL_SOURCE_TYPE, Mp4Writer, digital_source_type
from lsp_ros.media.resampling import AudioResampler
from lsp_ros.media.sound import read_audio

__all__ = [
    'AI_GENERATED',
    'DIGITAL_SOURCE_TYPE',
    'AudioResampler',
    'MediaError',
    'Mp4Writer',
    'digital_source_type',
    'read_audio',
]
