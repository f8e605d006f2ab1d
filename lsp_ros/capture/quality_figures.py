"""The figures of a capture: what was measured of the recording, what is good in it, and what to record again."""

from dataclasses import dataclass

import numpy as np

from lsp_ros.avatar.landmarks import LEFT_EYE_LIDS, RIGHT_EYE_LIDS, lip_gap
from lsp_ros.capture.pipeline import CaptureResult
from lsp_ros.capture.take import (
    BLUR,
    CUT,
    DARK,
    ERROR,
    HAND,
    JUMPED,
    NO_FACE,
    NO_SHOULDERS,
    NO_SOUND,
    OUTSIDE,
    REASONS,
    SHORT,
    TURNED,
)
from lsp_ros.speech.activity import level_db, speech_frames
from lsp_ros.timeline import FRAME_RATE, frame_start
from lsp_ros.training.dataset import Dataset, runs

# What a good recording has; below, the report asks for more.
MINUTES, YAW, PITCH, OPEN_CM, WIDTH_CM, SILENT_SHARE, NOISE_DB, QUIET_DB = 3.0, 16.0, 8.0, 1.0, 0.6, 0.03, 25.0, -32.0
LONG_RUN = 6.5  # seconds without a gap that head motion can be learned from (``lsp_ros.training.fine_tune``)
HEAD_WIDTH = 200  # pixels of the video
# Pictures in focus have 60 to 450; blurred by a Gaussian of 1.5 pixels they have 16 at most.
SHARP = 30.0
ERROR_PX, CLIPPED, LEFT_OUT = 1.0, 1e-4, 0.03

# What helps against what pictures were left out for.
REMEDIES = {
    NO_FACE: 'Keep the face in the picture, lit from the front.',
    HAND: 'Keep the hands down.',
    CUT: 'Record without interruption.',
    OUTSIDE: 'Stay in the middle of the picture, or place the camera farther away.',
    JUMPED: 'Move calmly, and cut no words out of the video.',
    ERROR: 'Something covers the face, hair or a microphone, say: take it away.',
    TURNED: 'Look toward the camera.',
    SHORT: 'What lies between two of the other gaps is of no use: mend those.',
    NO_SHOULDERS: 'Show head and both shoulders, in clothes that are not of the colour of the background; folds or a '
    'pattern help.',
    NO_SOUND: 'Let the sound run as long as the pictures.',
    BLUR: 'More light, so that the camera exposes shortly, and calm movements.',
}


def eye_opening(points: np.ndarray) -> np.ndarray:
    """(N, 73, 3) -> (N,) distance of the lids, mean of both eyes."""
    pairs = (LEFT_EYE_LIDS, RIGHT_EYE_LIDS)
    return np.mean([np.linalg.norm(points[:, upper] - points[:, lower], axis=1) for upper, lower in pairs], axis=0)


def measure(result: CaptureResult, data: Dataset) -> dict[str, float]:
    """All figures of the report, under names with their units. ``data`` is the dataset that the result was written
    as."""
    known, tracks = result.known, result.tracks
    levels = np.array([level_db(result.samples[frame_start(t) : frame_start(t + 1)]) for t in range(len(known))])
    inside = np.zeros(len(known), bool)
    heard_in = np.zeros(len(result.samples), bool)
    for take in result.takes:
        stop = take.start + int(take.places[-1])
        inside[take.start : stop] = take.heard.at(take.seconds_at(np.arange(stop - take.start)))
        for first, end in runs(inside[take.start : stop]):
            heard_in[frame_start(take.start + first) : frame_start(take.start + end)] = True
    speaking = np.zeros(len(known), bool)
    heard = speech_frames(result.samples)[: len(known)]
    speaking[: len(heard)] = heard
    speaking &= inside
    euler, points = tracks['euler'][known], tracks['points'][known]
    gap = lip_gap(points)
    width = np.linalg.norm(points[:, 52] - points[:, 46], axis=1)
    lids = eye_opening(points)
    sharp = np.concatenate([take.seen.sharp[take.tracked >= 0] for take in result.takes])
    boxes = np.concatenate([take.boxes for take in result.takes])
    pictures = sum(len(take.clip.times) for take in result.takes)
    longest = [max((b - a for a, b in runs(mask)), default=0) for mask in (data.training_mask, data.validation_mask)]
    return {
        'known minutes': float(known.sum() / FRAME_RATE / 60),
        'longest stretch s': longest[0] / FRAME_RATE,
        'longest stretch that validates s': longest[1] / FRAME_RATE,
        'pictures': len(result.shown),
        'left out share': sum(result.counts().values()) / pictures,
        'source pixels a side': result.crop.side,
        'head width px': float(np.median(boxes[:, 2] - boxes[:, 0])),
        'focal length px': result.track.camera.focal,
        'head distance cm': float(np.median(tracks['translation'][known, 2])),
        **{f'{name} from deg': float(np.percentile(euler[:, k], 1)) for k, name in enumerate(('pitch', 'yaw', 'roll'))},
        **{f'{name} to deg': float(np.percentile(euler[:, k], 99)) for k, name in enumerate(('pitch', 'yaw', 'roll'))},
        'lip opening cm': float(np.percentile(gap, 99)),
        'mouth width range cm': float(np.percentile(width, 99) - np.percentile(width, 1)),
        'lips closed share': float((gap < 0.05 * np.percentile(gap, 99)).mean()),
        'blinks a minute': float(
            (np.diff((lids < 0.5 * np.median(lids)).astype(int)) == 1).sum() / max(known.sum() / FRAME_RATE / 60, 1e-9)
        ),
        'tracking error px': float(result.track.error.mean()),
        'tracking error 99 % px': float(np.percentile(result.track.error, 99)),
        'sharpness': float(np.median(sharp)),
        'light': min(take.light for take in result.takes),
        'speech level dBFS': float(np.median(levels[speaking])) if speaking.any() else -120.0,
        'noise level dBFS': float(np.percentile(levels[inside], 3)),
        'share of silence': float(1 - speaking[inside].mean()),
        'clipped share': float((np.abs(result.samples[heard_in]) > 0.985).mean()),
    }


@dataclass(frozen=True)
class Judged:
    """One line of the table: a figure as text, what is wanted of it, whether it is so, and what helps if not."""

    name: str
    yours: str
    wanted: str
    good: bool
    remedy: str


def judge(figures: dict[str, float]) -> list[Judged]:
    """What is good and what to do better."""
    f = figures
    yaw, pitch = (f[f'{name} to deg'] - f[f'{name} from deg'] for name in ('yaw', 'pitch'))
    above = f['speech level dBFS'] - f['noise level dBFS']
    stretch = min(f['longest stretch s'], f['longest stretch that validates s'])
    return [
        Judged(
            'footage that can be used',
            f'{f["known minutes"]:.1f} minutes',
            f'{MINUTES:.0f} to 5 minutes',
            f['known minutes'] >= MINUTES,
            f'Only {f["known minutes"]:.1f} minutes are usable: record {MINUTES:.0f} to 5 minutes.',
        ),
        Judged(
            'longest stretch without a gap',
            f'{f["longest stretch s"]:.1f} s to learn from, '
            f'{f["longest stretch that validates s"]:.1f} s to check with',
            f'{LONG_RUN} s of both',
            stretch >= LONG_RUN,
            f'No stretch without a gap is as long as {LONG_RUN} s in both parts: this head '
            'will move as the built-in avatar does. Record without interruption.',
        ),
        Judged(
            'pictures left out',
            f'{100 * f["left out share"]:.1f} %',
            'at most 10 %',
            f['left out share'] <= 0.1,
            'Many pictures had to be left out: the table below says why.',
        ),
        Judged(
            'sharpness of the face',
            f'{f["sharpness"]:.0f}',
            f'{SHARP:.0f} or more',
            f['sharpness'] >= SHARP,
            'The face is not sharp: focus on the eyes, clean the lens, use more light, come closer.',
        ),
        Judged(
            'light on the face',
            f'{f["light"]:.0f} of 255',
            f'{DARK:.0f} or more',
            f['light'] >= DARK,
            f'The footage is very dark (mean grey level of the face {f["light"]:.0f} of 255): light the face from the '
            'front.',
        ),
        Judged(
            'tracking error',
            f'{f["tracking error px"]:.2f} pixels',
            f'at most {ERROR_PX:.0f} pixel',
            f['tracking error px'] <= ERROR_PX,
            'The face is not followed well: light it evenly, and let nothing cover it.',
        ),
        Judged(
            'width of the head in the video',
            f'{f["head width px"]:.0f} pixels',
            f'{HEAD_WIDTH} or more',
            f['head width px'] >= HEAD_WIDTH,
            f'The head is only {f["head width px"]:.0f} pixels wide: come closer, or record in a higher resolution.',
        ),
        Judged(
            'distance of the head (estimate)',
            f'{f["head distance cm"]:.0f} cm',
            '50 to 200 cm',
            50 <= f['head distance cm'] <= 200,
            'From very near a face is distorted, from far it is small: sit about a metre from the camera.',
        ),
        Judged(
            'head turns from side to side',
            f'{f["yaw from deg"]:.0f} to {f["yaw to deg"]:.0f} degrees',
            f'a range of {YAW:.0f} degrees',
            yaw >= YAW,
            f'The head turns from side to side by {yaw:.1f} degrees '
            'only; the avatar will not turn farther. Move naturally while you speak.',
        ),
        Judged(
            'head turns up and down',
            f'{f["pitch from deg"]:.0f} to {f["pitch to deg"]:.0f} degrees',
            f'a range of {PITCH:.0f} degrees',
            pitch >= PITCH,
            f'The head nods by {pitch:.1f} degrees only; the '
            'avatar will not nod farther. Move naturally while you speak.',
        ),
        Judged(
            'mouth opens by',
            f'{f["lip opening cm"]:.1f} cm',
            f'{OPEN_CM:.0f} cm or more',
            f['lip opening cm'] >= OPEN_CM,
            f'The mouth opens by only {f["lip opening cm"]:.1f} cm: say some sentences with wide vowels (father, car).',
        ),
        Judged(
            'mouth widens by',
            f'{f["mouth width range cm"]:.1f} cm',
            f'{WIDTH_CM} cm or more',
            f['mouth width range cm'] >= WIDTH_CM,
            'The mouth is nearly always of one width: say some sentences with ee and oo (see you soon), and smile.',
        ),
        Judged(
            'blinks',
            f'{f["blinks a minute"]:.0f} a minute',
            '3 to 60',
            3 <= f['blinks a minute'] <= 60,
            'There are hardly any blinks, or too many: the eyes are covered, or small; the light may dazzle.',
        ),
        Judged(
            'share of silence',
            f'{100 * f["share of silence"]:.0f} %',
            f'{100 * SILENT_SHARE:.0f} to 60 %',
            SILENT_SHARE <= f['share of silence'] <= 0.6,
            'The mouth at rest is learned from silence, the rest from '
            'speech: pause for some seconds now and then, and otherwise speak.',
        ),
        Judged(
            'loudness of the voice',
            f'{f["speech level dBFS"]:.0f} dBFS',
            f'{QUIET_DB:.0f} or more',
            f['speech level dBFS'] >= QUIET_DB,
            f'The voice is quiet ({f["speech level dBFS"]:.0f} dBFS): bring the microphone closer.',
        ),
        Judged(
            'voice above the noise of the room',
            f'{above:.0f} dB',
            f'{NOISE_DB:.0f} dB or more',
            above >= NOISE_DB,
            f'The room is loud: speech is only {above:.0f} dB above the noise. Record in a quiet room.',
        ),
        Judged(
            'clipped sound',
            f'{100 * f["clipped share"]:.3f} %',
            f'at most {100 * CLIPPED:.2f} %',
            f['clipped share'] <= CLIPPED,
            'The sound is too loud for the recording and clipped: turn the microphone down.',
        ),
    ]


def advice(judged: list[Judged], result: CaptureResult) -> list[str]:
    """What to record again; empty if all is well."""
    pictures = sum(len(take.clip.times) for take in result.takes)
    said = [line.remedy for line in judged if not line.good]
    for code, text in REASONS.items():
        count = sum(int((take.state == code).sum()) for take in result.takes)
        if count > LEFT_OUT * pictures:
            said.append(
                f'{100 * count / pictures:.0f} % of the pictures were left out because of this: {text}. '
                f'{REMEDIES[code]}'
            )
    return said
