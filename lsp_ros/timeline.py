"""The one clock: 16 kHz samples, 120 Hz feature frames, 60 fps video frames (paper section 4.1).

Every position is an integer count since sample 0, and conversions floor exact rational
products. Nothing is ever accumulated, so sample 41,472,000,000 (30 days) is as exact as
sample 0.

    video frame   t   starts at sample  floor(t * 16000 / 60)
    feature frame i   starts at sample  floor(i * 16000 / 120)
    video frame   t   owns feature frames 2t and 2t + 1
"""

SAMPLE_RATE = 16_000
FEATURE_RATE = 120
FRAME_RATE = 60
FEATURES_PER_FRAME = FEATURE_RATE // FRAME_RATE
NANOSECONDS_PER_SECOND = 1_000_000_000
NANOSECONDS_PER_SAMPLE = NANOSECONDS_PER_SECOND // SAMPLE_RATE

assert FEATURE_RATE % FRAME_RATE == 0
assert NANOSECONDS_PER_SECOND % SAMPLE_RATE == 0


def feature_start(feature: int) -> int:
    """First sample of a feature frame."""
    return feature * SAMPLE_RATE // FEATURE_RATE


def frame_start(frame: int) -> int:
    """First sample of a video frame."""
    return frame * SAMPLE_RATE // FRAME_RATE


def frames_in(samples: int) -> int:
    """Number of whole video frames in a clip of that many samples: floor(samples * 60 / 16000)."""
    return samples * FRAME_RATE // SAMPLE_RATE


def frame_at(sample: int) -> int:
    """The video frame that a sample belongs to: the largest t with ``frame_start(t) <= sample``."""
    return ((sample + 1) * FRAME_RATE - 1) // SAMPLE_RATE


def samples_to_ns(samples: int) -> int:
    """Exact duration of that many samples in nanoseconds (one sample is 62,500 ns)."""
    return samples * NANOSECONDS_PER_SAMPLE


def ns_to_samples(nanoseconds: int) -> int:
    """Number of whole samples in a duration (floor)."""
    return nanoseconds // NANOSECONDS_PER_SAMPLE


def frame_start_ns(frame: int) -> int:
    """Start of a video frame in nanoseconds since sample 0; every third frame is a whole 50 ms."""
    return samples_to_ns(frame_start(frame))
