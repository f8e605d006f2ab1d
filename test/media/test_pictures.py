"""Pictures are shown as the camera meant them: upright, whole, in the colours of a standard display."""

from fractions import Fraction

import av
import numpy as np
import pytest

from lsp_ros.capture.video import pictures
from lsp_ros.media.pictures import BT2020, HLG, PQ, TO_709, WHITE_HLG, WHITE_PQ, as_shown

ONE = 1 << 16
# What a camera may say: a, b, c, d of the matrix, and where the top left corner of the file is shown.
MATRICES = {
    'as it is': ((ONE, 0, 0, ONE), 'top left'),
    'mirrored': ((-ONE, 0, 0, ONE), 'top right'),
    'upside down mirrored': ((ONE, 0, 0, -ONE), 'bottom left'),
    'upside down': ((-ONE, 0, 0, -ONE), 'bottom right'),
    'clockwise': ((0, ONE, -ONE, 0), 'top right'),
    'anticlockwise': ((0, -ONE, ONE, 0), 'bottom left'),
    'transposed': ((0, ONE, ONE, 0), 'top left'),
    'transversed': ((0, -ONE, -ONE, 0), 'bottom right'),
}


@pytest.mark.parametrize('name', MATRICES)
def test_a_picture_is_turned_and_mirrored_as_its_display_matrix_says(tmp_path, name):
    (a, b, c, d), corner = MATRICES[name]
    path = tmp_path / 'film.mp4'
    image = np.zeros((48, 96, 3), np.uint8)
    image[:16, :16] = 255
    with av.open(f'file:{path}', 'w') as out:
        stream = out.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 48, 'yuv444p'
        for k in range(3):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24').reformat(format='yuv444p')
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    data = path.read_bytes()
    upright = np.array([ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30], '>i4').tobytes()
    stated = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], '>i4').tobytes()
    place = data.index(upright, data.index(b'tkhd'))
    path.write_bytes(data[:place] + stated + data[place + len(upright) :])
    shown = next(pictures(path))[2]
    assert shown.shape == ((48, 96, 3) if a else (96, 48, 3))
    rows, columns = (slice(0, 12) if word in ('top', 'left') else slice(-12, None) for word in corner.split())
    assert shown[rows, columns].min() > 200
    assert (shown > 128).mean() < 0.1


def high_range(colour, transfer: int) -> av.VideoFrame:
    """A picture of one colour of an ordinary display, filmed in HLG or PQ (10 bits, BT.2020)."""
    grey = np.array(colour) / 255
    linear = np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
    linear = np.linalg.inv(TO_709.astype(float)) @ linear
    if transfer == HLG:
        light = linear * WHITE_HLG
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        signal = np.where(light <= 1 / 12, np.sqrt(3 * light), a * np.log(np.maximum(12 * light - b, 1e-9)) + c)
    else:
        power = (linear * WHITE_PQ) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    values = np.round(np.broadcast_to(signal, (64, 64, 3)) * 65535).astype(np.uint16)
    # This PyAV has no setting for the matrix of its output but by name: BT.2020's, by hand.
    red, green, blue = np.moveaxis(values / 65535, -1, 0)
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    planes = [64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746]
    frame = av.VideoFrame(64, 64, 'yuv444p10le')
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.zeros((64, plane.line_size // 2), np.uint16)
        rows[:, :64] = np.round(samples)
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, BT2020
    return frame


@pytest.mark.parametrize('transfer', [HLG, PQ])
@pytest.mark.parametrize('colour', [(200, 150, 120), (105, 73, 58), (60, 60, 60), (30, 90, 160)])
def test_colours_of_high_dynamic_range_are_those_of_an_ordinary_film(colour, transfer):
    shown = as_shown(high_range(colour, transfer), 1.0).reshape(-1, 3)
    np.testing.assert_allclose(shown.mean(axis=0), colour, atol=4)


@pytest.mark.parametrize('transfer', [HLG, PQ])
def test_brighter_light_stays_brighter(transfer):
    grey = [int(as_shown(high_range((level,) * 3, transfer), 1.0).mean()) for level in range(0, 256, 15)]
    assert grey == sorted(grey) and 225 < grey[-1] < 255


def test_an_interlaced_film_has_whole_pictures(tmp_path):
    """A bar that moves by 8 pixels between the two fields of a picture; undone, it has no comb."""
    path = tmp_path / 'interlaced.mp4'
    with av.open(f'file:{path}', 'w') as out:
        stream = out.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 64, 'yuv420p'
        stream.options = {'x264-params': 'interlaced=1:tff=1', 'crf': '10'}
        for k in range(8):
            image = np.full((64, 128, 3), 20, np.uint8)
            image[0::2, 16 + 8 * k : 32 + 8 * k] = 220
            image[1::2, 24 + 8 * k : 40 + 8 * k] = 220
            frame = av.VideoFrame.from_ndarray(image, format='rgb24').reformat(format='yuv420p')
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    shown = list(pictures(path))
    assert [seconds for _, seconds, _ in shown] == pytest.approx([k / 25 for k in range(8)])
    for _, _, image in shown[1:]:
        lines = image.mean(axis=2)
        assert np.abs(np.diff(lines, axis=0)).mean() < 8  # a comb has 25
