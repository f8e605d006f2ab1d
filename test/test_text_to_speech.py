"""A text is read as what it is, whatever bytes it comes in."""

import codecs
import io
import sys

import pytest

from lsp_ros.text_to_speech import decode_text, read_text

TEXT = 'Das Café öffnet “um” neun.'


@pytest.mark.parametrize(
    'content',
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode('utf-16'),
        codecs.BOM_UTF16_BE + TEXT.encode('utf-16-be'),
        TEXT.encode('utf-32'),
        TEXT.encode('cp1252'),
    ],
)
def test_text_in_any_usual_encoding_is_read(content, monkeypatch):
    assert decode_text(content) == TEXT
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(content), 'utf-8'))
    assert read_text('-') == TEXT


def test_latin_1_is_read():
    assert decode_text('é à ü'.encode('latin-1')) == 'é à ü'


def test_an_argument_that_is_not_utf_8_is_read():
    assert read_text('caf\udce9') == 'café'


@pytest.mark.parametrize('content', [b'RIFF\x24\x00\x00\x00WAVE', bytes(range(256)), b'\xff\xfe\x00'])
def test_a_binary_file_is_refused_in_a_sentence(content):
    with pytest.raises(ValueError, match=r'\A(What is to be said is no text|The text is said to be utf-16).*\.\Z'):
        decode_text(content)
