"""The quality report: one HTML page with pictures and plots, no other file needed to read it."""

import base64
import html
from pathlib import Path

import cv2
import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.avatar.landmarks import lip_gap
from lsp_ros.capture.pipeline import CaptureResult
from lsp_ros.capture.quality_figures import REMEDIES, advice, eye_opening, judge, measure
from lsp_ros.capture.take import REASONS
from lsp_ros.geometry import project, to_camera
from lsp_ros.rendering.feature_map import draw
from lsp_ros.speech.activity import level_db
from lsp_ros.storage import write_file
from lsp_ros.timeline import FRAME_RATE, frame_start
from lsp_ros.training.candidates import choose_candidates
from lsp_ros.training.dataset import load_dataset

LISTED = 200  # gaps that are listed


def moment(result: CaptureResult, frame: int) -> str:
    """Where a timeline frame is to be found: the file's name, minutes and seconds in it."""
    take = next(take for take in result.takes if take.start <= frame < take.stop)
    return f'{result.capture.names[take.digest]} {clock(float(take.seconds_at(frame - take.start)))}'


def clock(seconds: float) -> str:
    """As players show it, with tenths: mm:ss.s."""
    tenths = round(10 * max(0.0, seconds))
    return f'{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}'


def overlay(result: CaptureResult, frame: int) -> np.ndarray:
    """The picture of a timeline frame with what was tracked drawn over it, (512, 512, 3) RGB."""
    tracks, matrix = result.tracks, result.track.camera.matrix
    face = project(to_camera(tracks['points'][frame], tracks['euler'][frame], tracks['translation'][frame]), matrix)
    lines = draw(face, project(tracks['shoulders'][frame], matrix), subpixel=True)
    share = lines[..., None] / 255.0
    return np.round(result.picture(frame) * (1 - share) + np.array([60, 255, 60]) * share).astype(np.uint8)


def telling_frames(result: CaptureResult) -> dict[str, int]:
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


def write_report(result: CaptureResult, file: Path) -> dict[str, float]:
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
        f'<h1>Capture of {html.escape(result.capture.config.name)}</h1>',
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
    write_file(file, page.encode('utf-8', 'replace'))  # sentences name files as they are
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


def _consent(result: CaptureResult) -> str:
    agreed = result.capture.consent
    if result.capture.config.synthetic:
        return 'A computer-generated person.'
    if agreed is None:
        return '<b>UNCONSENTED: no agreement is on record. The avatar will say so whenever it starts.</b>'
    return html.escape(
        f'{agreed["who"]} agreed to: {agreed["purpose"]}; until {agreed["until"] or "withdrawn"}; '
        f'ends by: {agreed["means"]}. Record {agreed["record_sha256"][:16]}...'
    )


def _left_out(result: CaptureResult) -> str:
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
    source = base64.b64encode(data.tobytes()).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{source}" alt="">'
        f'<figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def _plots(result: CaptureResult) -> list[str]:
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
