"""The quality report: one HTML page with pictures and plots, no other file needed to read it."""

import base64
import html
from pathlib import Path

import cv2
import numpy as np

from lsp_ros.avatar.landmarks import LEFT_EYE_LIDS, RIGHT_EYE_LIDS, lip_gap
from lsp_ros.capture.create import Result
from lsp_ros.capture.take import BLUR, REASONS
from lsp_ros.rendering.camera import project, to_camera
from lsp_ros.rendering.feature_map import draw
from lsp_ros.rendering.sizes import PICTURE
from lsp_ros.speech.activity import level_db, speech_frames
from lsp_ros.timeline import FRAME_RATE, frame_start
from lsp_ros.training.candidates import choose_candidates

# What a good recording has; below, the report asks for more.
MINUTES, YAW, PITCH, OPEN_CM, SILENT_SHARE, NOISE_DB, QUIET_DB, LONG_RUN = 3.0, 8.0, 4.0, 1.0, 0.03, 25.0, -32.0, 17.0


def eye_opening(points: np.ndarray) -> np.ndarray:
    """(N, 73, 3) -> (N,) distance of the lids, mean of both eyes."""
    pairs = (LEFT_EYE_LIDS, RIGHT_EYE_LIDS)
    return np.mean([np.linalg.norm(points[:, upper] - points[:, lower], axis=1) for upper, lower in pairs], axis=0)


def measure(result: Result) -> dict:
    """All figures of the report, under names with their units."""
    known, tracks = result.known, result.tracks
    levels = np.array([level_db(result.samples[frame_start(t) : frame_start(t + 1)]) for t in range(len(known))])
    inside = np.zeros(len(known), bool)
    for take in result.takes:
        inside[take.start : take.start + int(take.clip.times[-1] * FRAME_RATE)] = True
    speaking = np.zeros(len(known), bool)
    heard = speech_frames(result.samples)[: len(known)]
    speaking[: len(heard)] = heard
    speaking &= inside
    euler, points = tracks['euler'][known], tracks['points'][known]
    gap = lip_gap(points)
    width = np.linalg.norm(points[:, 52] - points[:, 46], axis=1)
    lids = eye_opening(points)
    sharp = np.concatenate([take.seen.sharp for take in result.takes])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(int), [0]])))
    return {
        'known minutes': known.sum() / FRAME_RATE / 60,
        'longest stretch s': float(np.diff(edges)[::2].max() / FRAME_RATE),
        'pictures': len(result.shown),
        'source pixels a side': result.crop.side,
        'focal length px': result.track.camera.focal,
        'head distance cm': float(np.median(tracks['translation'][known, 2])),
        **{f'{name} from deg': float(np.percentile(euler[:, k], 1)) for k, name in enumerate(('pitch', 'yaw', 'roll'))},
        **{f'{name} to deg': float(np.percentile(euler[:, k], 99)) for k, name in enumerate(('pitch', 'yaw', 'roll'))},
        'lip opening cm': float(np.percentile(gap, 99)),
        'mouth width range cm': float(np.percentile(width, 99) - np.percentile(width, 1)),
        'lips closed share': float((gap < 0.05 * np.percentile(gap, 99)).mean()),
        'blinks a minute': float((np.diff((lids < 0.5 * np.median(lids)).astype(int)) == 1).sum()
                                 / max(known.sum() / FRAME_RATE / 60, 1e-9)),
        'tracking error px': float(result.track.error.mean()),
        'tracking error 99 % px': float(np.percentile(result.track.error, 99)),
        'sharpness': float(np.median(sharp)),
        'speech level dBFS': float(np.median(levels[speaking])) if speaking.any() else -120.0,
        'noise level dBFS': float(np.percentile(levels[inside], 3)),
        'share of silence': float(1 - speaking[inside].mean()),
    }


def advice(figures: dict, counts: dict[str, int], pictures: int) -> list[str]:
    """What to record again, the gravest first; empty if all is well."""
    said = []
    if figures['known minutes'] < MINUTES:
        said.append(f'Only {figures["known minutes"]:.1f} minutes are usable: record {MINUTES:.0f} to 5 minutes.')
    if figures['longest stretch s'] < LONG_RUN:
        said.append(f'The longest stretch without a gap is {figures["longest stretch s"]:.1f} s; head motion is '
                    f'learned from stretches of {LONG_RUN:.0f} s and more. Record without interruption.')
    if figures['source pixels a side'] < 480:
        said.append(f'Head and shoulders fill a square of only {figures["source pixels a side"]} pixels, '
                    'which is enlarged to 512: come closer or record in a higher resolution.')
    for name, least, where in (('yaw', YAW, 'from side to side'), ('pitch', PITCH, 'up and down')):
        low, high = figures[f'{name} from deg'], figures[f'{name} to deg']
        if high - low < 2 * least:
            said.append(f'The head turns {where} from {low:.0f} to {high:.0f} degrees only; the avatar will not turn '
                        'farther. Move naturally while you speak.')
    if figures['lip opening cm'] < OPEN_CM:
        said.append(f'The mouth opens by only {figures["lip opening cm"]:.1f} cm: say some sentences with wide vowels.')
    if figures['share of silence'] < SILENT_SHARE:
        said.append('There is hardly a pause: the mouth at rest is learned from silence. Pause for some seconds.')
    if figures['speech level dBFS'] < QUIET_DB:
        said.append(f'The voice is quiet ({figures["speech level dBFS"]:.0f} dBFS): bring the microphone closer.')
    above = figures['speech level dBFS'] - figures['noise level dBFS']
    if above < NOISE_DB:
        said.append(f'The room is loud: speech is only {above:.0f} dB above the noise. Record in a quiet room.')
    for text, count in counts.items():
        if count > 0.03 * pictures:
            said.append(f'{100 * count / pictures:.0f} % of the pictures were left out because of this: {text}.')
    return said


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
        'mouth closed': int(frames[np.argmin(gap)]), 'mouth wide open': int(frames[np.argmax(gap)]),
        'mouth wide': int(frames[np.argmax(width)]), 'mouth narrow': int(frames[np.argmin(width)]),
        'eyes closed': int(frames[np.argmin(lids)]), 'eyes wide': int(frames[np.argmax(lids)]),
        'turned to the left': int(frames[np.argmax(euler[:, 1])]),
        'turned to the right': int(frames[np.argmin(euler[:, 1])]),
        'chin down': int(frames[np.argmax(euler[:, 0])]), 'chin up': int(frames[np.argmin(euler[:, 0])]),
        'shoulders farthest from usual': int(frames[np.argmax(away)]),
        'largest tracking error': int(frames[np.argmax(error)]),
    }


def write_report(result: Result, file: Path) -> dict:
    """Writes the page, whole or not at all; returns the figures."""
    figures, counts = measure(result), result.counts()
    pictures = sum(len(take.clip.times) for take in result.takes)
    said = advice(figures, counts, pictures)
    frames = np.array(sorted(result.shown))
    try:
        candidates = frames[choose_candidates(result.tracks['points'][frames], result.tracks['euler'][frames])].tolist()
    except ValueError as error:
        candidates, said = [], [*said, f'{error}.']
    parts = [
        f'<h1>Capture of {html.escape(result.capture.settings.name)}</h1>',
        '<p>' + _consent(result) + '</p>',
        '<h2>What to record again</h2>',
        '<ul>' + ''.join(f'<li>{html.escape(text)}</li>' for text in [*result.capture.left_out, *said]) + '</ul>'
        if said or result.capture.left_out else '<p>Nothing: the recording is good.</p>',
        '<h2>Figures</h2><table>' + ''.join(f'<tr><td>{html.escape(key)}</td><td>{value:.4g}</td></tr>'
                                            for key, value in figures.items()) + '</table>',
        '<h2>Left out</h2>' + _left_out(result, counts, pictures),
        '<h2>What was tracked</h2><p>Lines: landmarks and shoulders as the renderer will get them.</p><div>',
        *(_figure(overlay(result, frame), f'{name}, {frame / FRAME_RATE:.1f} s')
          for name, frame in telling_frames(result).items()),
        '</div><h2>Candidate images</h2><div>',
        *(_figure(result.picture(frame), f'{frame / FRAME_RATE:.1f} s') for frame in candidates),
        '</div><h2>Coverage</h2><div>',
        *_plots(result),
        '</div>',
    ]
    style = ('body{font:15px sans-serif;max-width:1100px;margin:2em auto}table{border-collapse:collapse}'
             'td,th{padding:2px 12px;border-bottom:1px solid #ccc;text-align:left}'
             'figure{display:inline-block;margin:4px}figcaption{font-size:12px}')
    page = (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Capture report</title><style>{style}</style>'
            + '\n'.join(parts) + '</html>\n')
    scratch = file.with_name(f'.{file.name}')
    scratch.write_text(page)
    scratch.replace(file)
    return figures


def _consent(result: Result) -> str:
    agreed = result.capture.consent
    if result.capture.settings.synthetic:
        return 'A computer-generated person.'
    if agreed is None:
        return '<b>UNCONSENTED: no agreement is on record. The avatar will say so whenever it starts.</b>'
    return html.escape(f"{agreed['who']} agreed to: {agreed['purpose']}; until {agreed['until'] or 'withdrawn'}; "
                       f"ends by: {agreed['means']}. Record {agreed['record_sha256'][:16]}...")


def _left_out(result: Result, counts: dict[str, int], pictures: int) -> str:
    if not counts:
        return f'<p>None of {pictures} pictures.</p>'
    rows = ''.join(f'<tr><td>{html.escape(text)}</td><td>{count}</td><td>{100 * count / pictures:.1f} %</td></tr>'
                   for text, count in counts.items())
    where = []
    for take in result.takes:
        clip, state = take.clip, take.state
        edges = np.flatnonzero(np.diff(np.concatenate([[-1], state, [-1]])))
        spans = [(a, b) for a, b in zip(edges[:-1], edges[1:]) if state[a] not in (0, BLUR)]
        where += [f'{clip.path.name}: {clip.times[a]:.2f} to {clip.times[b - 1]:.2f} s, {REASONS[int(state[a])]}'
                  for a, b in spans]
    lines = ''.join(f'<li>{html.escape(line)}</li>' for line in where[:200])
    return f'<table><tr><th>why</th><th>pictures</th><th>share</th></tr>{rows}</table><ul>{lines}</ul>'


def _figure(image: np.ndarray, caption: str) -> str:
    small = cv2.resize(image, (PICTURE // 2, PICTURE // 2), interpolation=cv2.INTER_AREA)
    data = cv2.imencode('.jpg', small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    source = base64.b64encode(data).decode()
    return (f'<figure><img src="data:image/jpeg;base64,{source}" alt="">'
            f'<figcaption>{html.escape(caption)}</figcaption></figure>')


def _plots(result: Result) -> list[str]:
    known, tracks = result.known, result.tracks
    seconds = np.flatnonzero(known) / FRAME_RATE
    euler, points = tracks['euler'][known], tracks['points'][known]
    width = np.linalg.norm(points[:, 52] - points[:, 46], axis=1)
    error_at = np.concatenate([take.start / FRAME_RATE + take.clip.times[take.tracked >= 0] for take in result.takes])
    levels = np.array([level_db(result.samples[frame_start(t) : frame_start(t + 6)]) for t in range(0, len(known), 6)])
    return [
        _plot(euler[:, 1], euler[:, 0], 'head pose: yaw and pitch, degrees'),
        _plot(width, lip_gap(points), 'mouth shapes: width and lip opening, cm'),
        _plot(seconds, euler[:, 1], 'yaw in degrees over seconds'),
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
    labels = (f'<text x="{edge}" y="{H - 20}">{low[0]:.1f}</text><text x="{W - 40}" y="{H - 20}">{high[0]:.1f}</text>'
              f'<text x="2" y="{H - edge}">{low[1]:.1f}</text><text x="2" y="14">{high[1]:.1f}</text>')
    return (f'<figure><svg width="{W}" height="{H}" font-size="10"><rect x="{edge}" y="8" width="{W - edge - 8}" '
            f'height="{H - edge - 8}" fill="#f4f4f4"/><g fill="#2050a0" fill-opacity="0.5">{dots}</g>{labels}</svg>'
            f'<figcaption>{html.escape(title)}</figcaption></figure>')
