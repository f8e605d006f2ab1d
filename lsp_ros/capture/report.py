"""The quality report: one HTML page with pictures and plots, no other file needed to read it."""

import base64
import html
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.avatar.landmarks import LEFT_EYE_LIDS, RIGHT_EYE_LIDS, lip_gap
from lsp_ros.capture.pipeline import Result
from lsp_ros.capture.take import (
    BLUR,
    CUT,
    ERROR,
    HAND,
    JUMPED,
    NO_FACE,
    NO_SHOULDERS,
    OUTSIDE,
    REASONS,
    SHORT,
    TURNED,
)
from lsp_ros.geometry import project, to_camera
from lsp_ros.rendering.feature_map import draw
from lsp_ros.speech.activity import level_db, speech_frames
from lsp_ros.timeline import FRAME_RATE, frame_start
from lsp_ros.training.candidates import choose_candidates
from lsp_ros.training.dataset import Dataset, load_dataset, runs

# What a good recording has; below, the report asks for more.
MINUTES, YAW, PITCH, OPEN_CM, WIDTH_CM, SILENT_SHARE, NOISE_DB, QUIET_DB = 3.0, 16.0, 8.0, 1.0, 0.6, 0.03, 25.0, -32.0
LONG_RUN = 6.5  # seconds without a gap that head motion can be learned from (``lsp_ros.training.fine_tune``)
HEAD_WIDTH = 200  # pixels of the video
# Pictures in focus have 60 to 450; blurred by a Gaussian of 1.5 pixels they have 16 at most.
SHARP = 30.0
ERROR_PX, CLIPPED, LEFT_OUT = 1.0, 1e-4, 0.03
LISTED = 200  # gaps that are listed

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
    BLUR: 'More light, so that the camera exposes shortly, and calm movements.',
}


def eye_opening(points: np.ndarray) -> np.ndarray:
    """(N, 73, 3) -> (N,) distance of the lids, mean of both eyes."""
    pairs = (LEFT_EYE_LIDS, RIGHT_EYE_LIDS)
    return np.mean([np.linalg.norm(points[:, upper] - points[:, lower], axis=1) for upper, lower in pairs], axis=0)


def measure(result: Result, data: Dataset) -> dict[str, float]:
    """All figures of the report, under names with their units. ``data`` is the dataset that the result was written
    as."""
    known, tracks = result.known, result.tracks
    levels = np.array([level_db(result.samples[frame_start(t) : frame_start(t + 1)]) for t in range(len(known))])
    inside = np.zeros(len(known), bool)
    heard_in = np.zeros(len(result.samples), bool)
    for take in result.takes:
        stop = take.start + int(take.places[-1])
        inside[take.start : stop] = True
        heard_in[frame_start(take.start) : frame_start(stop)] = True
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


def advice(judged: list[Judged], result: Result) -> list[str]:
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


def moment(result: Result, frame: int) -> str:
    """Where a timeline frame is to be found: the file's name, minutes and seconds in it."""
    take = next(take for take in result.takes if take.start <= frame < take.stop)
    return f'{result.capture.names[take.digest]} {clock(float(take.seconds_at(frame - take.start)))}'


def clock(seconds: float) -> str:
    """As players show it, with tenths: mm:ss.s."""
    tenths = round(10 * max(0.0, seconds))
    return f'{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}'


def overlay(result: Result, frame: int) -> np.ndarray:
    """The picture of a timeline frame with what was tracked drawn over it, (512, 512, 3) RGB."""
    tracks, matrix = result.tracks, result.track.camera.matrix
    face = project(to_camera(tracks['points'][frame], tracks['euler'][frame], tracks['translation'][frame]), matrix)
    lines = draw(face, project(tracks['shoulders'][frame], matrix), subpixel=True)
    share = lines[..., None] / 255.0
    return np.round(result.picture(frame) * (1 - share) + np.array([60, 255, 60]) * share).astype(np.uint8)


def telling_frames(result: Result) -> dict[str, int]:
    """Timeline frames whose overlays show most: extremes of eyes, mouth, head, shoulders and error."""
    frames = np.array(sorted(result.shown))
    points, euler = result.tracks['points'][frames], result.tracks['euler'][frames]
    gap = lip_gap(points)
    lids, width = eye_opening(points), points[:, 52, 0] - points[:, 46, 0]
    middle = result.tracks['shoulders'][frames].mean(axis=1)
    away = np.linalg.norm(middle - np.median(middle, axis=0), axis=1)
    placed = (result.shown[frame] for frame in frames.tolist())
    error = np.array([result.track.error[result.takes[k].tracked[row]] for k, row in placed])
    return {
        'mouth closed': int(frames[np.argmin(gap)]),
        'mouth wide open': int(frames[np.argmax(gap)]),
        'mouth wide': int(frames[np.argmax(width)]),
        'mouth narrow': int(frames[np.argmin(width)]),
        'eyes closed': int(frames[np.argmin(lids)]),
        'eyes wide': int(frames[np.argmax(lids)]),
        'turned to the left': int(frames[np.argmax(euler[:, 1])]),
        'turned to the right': int(frames[np.argmin(euler[:, 1])]),
        'chin down': int(frames[np.argmax(euler[:, 0])]),
        'chin up': int(frames[np.argmin(euler[:, 0])]),
        'shoulders farthest from usual': int(frames[np.argmax(away)]),
        'largest tracking error': int(frames[np.argmax(error)]),
    }


def write_report(result: Result, file: Path) -> dict[str, float]:
    """Writes the page, whole or not at all; returns the figures."""
    data = load_dataset(result.capture.folder / 'dataset')
    figures = measure(result, data)
    judged = judge(figures)
    said = advice(judged, result)
    frames = np.array(data.training_pictures(), int)  # those that the renderer's training chooses among
    try:
        candidates = frames[choose_candidates(data.points[frames], data.euler[frames])].tolist()
    except ValueError as error:
        candidates, said = [], [*said, f'{error}.']
    files = [*(f'Not used: {text}' for text in result.capture.left_out), *result.capture.remarks]
    parts = [
        f'<h1>Capture of {html.escape(result.capture.settings.name)}</h1>',
        '<p>' + _consent(result) + '</p>',
        '<h2>What to record again</h2>',
        _list([*files, *said]) if files or said else '<p>Nothing: the recording is good.</p>',
        '<h2>Good and bad</h2>',
        _table(
            ('', 'yours', 'wanted', '', 'what to do'),
            [
                (line.name, line.yours, line.wanted, 'good' if line.good else 'bad', '' if line.good else line.remedy)
                for line in judged
            ],
        ),
        '<h2>Left out</h2>' + _left_out(result),
        '<h2>What was tracked</h2><p>Lines: landmarks and shoulders as the renderer will get them.</p><div>',
        *(
            _figure(overlay(result, frame), f'{name}: {moment(result, frame)}')
            for name, frame in telling_frames(result).items()
        ),
        '</div><h2>Candidate images</h2><p>Of these four the avatar takes what never changes.</p><div>',
        *(_figure(result.picture(frame), moment(result, frame)) for frame in candidates),
        '</div><h2>Coverage</h2><div>',
        *_plots(result),
        '</div><h2>All figures</h2>',
        _table((), [(key, f'{value:.4g}') for key, value in figures.items()]),
    ]
    style = (
        'body{font:15px sans-serif;max-width:1100px;margin:2em auto}table{border-collapse:collapse}'
        'td,th{padding:3px 12px;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}'
        '.good{color:#067006}.bad{color:#b00000;font-weight:bold}'
        'figure{display:inline-block;margin:4px;width:256px;vertical-align:top}figure.plot{width:auto}'
        'figcaption{font-size:12px;overflow-wrap:anywhere}'
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Capture report</title><style>{style}</style>'
        + '\n'.join(parts)
        + '</html>\n'
    )
    scratch = file.with_name(f'.{file.name}')
    scratch.write_text(page)
    scratch.replace(file)
    return figures


def _list(lines: list[str]) -> str:
    return '<ul>' + ''.join(f'<li>{html.escape(line)}</li>' for line in lines) + '</ul>'


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Text in rows; a cell that says good or bad is coloured."""
    head = '<tr>' + ''.join(f'<th>{html.escape(title)}</th>' for title in titles) + '</tr>' if titles else ''
    lines = (
        ''.join(
            f'<td class="{cell}">{cell}</td>' if cell in ('good', 'bad') else f'<td>{html.escape(cell)}</td>'
            for cell in row
        )
        for row in rows
    )
    return f'<table>{head}' + ''.join(f'<tr>{line}</tr>' for line in lines) + '</table>'


def _consent(result: Result) -> str:
    agreed = result.capture.consent
    if result.capture.settings.synthetic:
        return 'A computer-generated person.'
    if agreed is None:
        return '<b>UNCONSENTED: no agreement is on record. The avatar will say so whenever it starts.</b>'
    return html.escape(
        f'{agreed["who"]} agreed to: {agreed["purpose"]}; until {agreed["until"] or "withdrawn"}; '
        f'ends by: {agreed["means"]}. Record {agreed["record_sha256"][:16]}...'
    )


def _left_out(result: Result) -> str:
    states = np.concatenate([take.state for take in result.takes])
    if not states.any():
        return f'<p>None of {len(states)} pictures.</p>'
    counted = [(code, text, int((states == code).sum())) for code, text in REASONS.items()]
    table = _table(
        ('why', 'pictures', 'share', 'what to do'),
        [
            (text, str(count), f'{100 * count / len(states):.1f} %', REMEDIES[code])
            for code, text, count in counted
            if count
        ],
    )
    where = []
    for take in result.takes:
        times, state = take.clip.times, take.state
        edges = np.flatnonzero(np.diff(state, prepend=-1, append=-1))
        where += [
            f'{result.capture.names[take.digest]} {clock(times[a])} to {clock(times[b - 1])}: {REASONS[int(state[a])]}'
            for a, b in zip(edges[:-1], edges[1:])
            if state[a]
        ]
    more = f'<p>... and {len(where) - LISTED} more.</p>' if len(where) > LISTED else ''
    return table + _list(where[:LISTED]) + more


def _figure(image: np.ndarray, caption: str) -> str:
    small = cv2.resize(image, (PICTURE // 2, PICTURE // 2), interpolation=cv2.INTER_AREA)
    data = cv2.imencode('.jpg', small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    source = base64.b64encode(data).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{source}" alt="">'
        f'<figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def _plots(result: Result) -> list[str]:
    known, tracks = result.known, result.tracks
    seconds = np.flatnonzero(known) / FRAME_RATE
    euler, points = tracks['euler'][known], tracks['points'][known]
    width = np.linalg.norm(points[:, 52] - points[:, 46], axis=1)
    error_at = np.concatenate([take.start + take.places[take.tracked >= 0] for take in result.takes]) / FRAME_RATE
    levels = np.array([level_db(result.samples[frame_start(t) : frame_start(t + 6)]) for t in range(0, len(known), 6)])
    return [
        _plot(euler[:, 1], euler[:, 0], 'head pose: yaw and pitch, degrees'),
        _plot(width, lip_gap(points), 'mouth shapes: width and lip opening, cm'),
        _plot(seconds, euler[:, 1], 'yaw in degrees over seconds, one video after the other'),
        _plot(error_at, result.track.error, 'tracking error in pixels over seconds'),
        _plot(np.arange(len(levels)) / 10, np.maximum(levels, -90), 'level in dBFS over seconds'),
    ]


def _plot(x: np.ndarray, y: np.ndarray, title: str, most: int = 2500) -> str:
    """A scatter plot as SVG."""
    some = np.linspace(0, len(x) - 1, min(most, len(x))).astype(int)
    x, y = np.asarray(x, float)[some], np.asarray(y, float)[some]
    W, H, edge = 340, 240, 36
    low, high = (x.min(), y.min()), (x.max(), y.max())
    px = edge + (x - low[0]) / max(high[0] - low[0], 1e-9) * (W - edge - 8)
    py = H - edge - (y - low[1]) / max(high[1] - low[1], 1e-9) * (H - edge - 8)
    dots = ''.join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="1.2"/>' for a, b in zip(px, py))
    labels = (
        f'<text x="{edge}" y="{H - 20}">{low[0]:.1f}</text><text x="{W - 40}" y="{H - 20}">{high[0]:.1f}</text>'
        f'<text x="2" y="{H - edge}">{low[1]:.1f}</text><text x="2" y="14">{high[1]:.1f}</text>'
    )
    return (
        f'<figure class="plot"><svg width="{W}" height="{H}" font-size="10">'
        f'<rect x="{edge}" y="8" width="{W - edge - 8}" height="{H - edge - 8}" fill="#f4f4f4"/>'
        f'<g fill="#2050a0" fill-opacity="0.5">{dots}</g>{labels}</svg>'
        f'<figcaption>{html.escape(title)}</figcaption></figure>'
    )
