"""The model card of an avatar: what it is, what it was made of, and what was measured, with each protocol."""

import json
from pathlib import Path
from typing import Any

from lsp_ros.avatar.consent import RECORD
from lsp_ros.avatar.load import Avatar
from lsp_ros.markdown import markdown_table
from lsp_ros.storage import write_file

FIGURES_FILE = 'figures.json'
CARD_FILE = 'MODEL_CARD.md'


def write_card(avatar: Avatar, figures: dict[str, Any], notes: dict[str, str]) -> Path:
    """Write ``figures.json`` and ``MODEL_CARD.md`` into the avatar's folder; returns the card's path.

    figures  'apc', 'mouth' {condition: figures}, 'head_pose', 'renderer' of lsp_ros.evaluation's protocols;
             what was not measured is left out
    notes    paragraphs by heading ('Data', 'Training', 'Limits', ...), put between licence and figures
    """
    write_file(avatar.path / FIGURES_FILE, json.dumps(figures, indent=1) + '\n')
    manifest = avatar.manifest
    if manifest.person.kind == 'synthetic':
        person = 'a computer-generated person; no real human is shown'
    elif avatar.unconsented:
        person = f'a real person, whose consent {avatar.unconsented}: do not publish it'
    else:
        person = f'a real person, whose consent is on record ({RECORD})'
    parts = [
        f'# Model card: {manifest.name}',
        f'An avatar of lsp_ros: {person}. It turns speech into face motion and pictures (512x512) of one person.',
        '## Licence and source',
        f'{manifest.licence}.\n\nSource: {manifest.source}.',
    ]
    for heading, text in notes.items():
        parts += [f'## {heading}', text]
    parts += [
        '## Figures',
        'All on data that was not trained on. But for the speech features, whose figure is that of their training, the '
        f'avatar runs as it does live, with its weights as shipped (float16). The same numbers stand in '
        f'`{FIGURES_FILE}`.',
    ]
    sections = {'apc': _apc, 'mouth': _mouth, 'head_pose': _head_pose, 'renderer': _renderer}
    for name, section in sections.items():
        if name in figures:
            parts.append(section(figures[name]))
    parts += ['## Files', _files(avatar)]
    card = avatar.path / CARD_FILE
    write_file(card, '\n\n'.join(parts) + '\n')
    return card


def _apc(figures: dict[str, Any]) -> str:
    return '\n\n'.join(
        [
            '### Speech features (APC)',
            'Protocol: mean absolute error of the normalised log mel spectrum three 120 Hz frames (25 ms) ahead, on '
            'files of the corpus that were not learned from; beside it the error of saying the last frame again. Files '
            "are chosen by a hash of their name up to its first dash. Of the built-in avatar's corpora that is the "
            'speaker in LibriSpeech alone, who is then unknown. The recordings of asterisk and of the speech-to-intent '
            'benchmark are split file by file or clip by clip, so that others of the same speakers were learned from, '
            'and all of kerstin is on one side. The figure is the lowest of all validations of the training, of the '
            "training's weights, not of the shipped ones in float16.",
            markdown_table(
                ['APC', 'last frame again'],
                [[f'{figures["val_loss"]:.4f}', f'{figures["predict_last_frame"]:.4f}']],
            ),
        ]
    )


def _mouth(conditions: dict[str, dict[str, Any]]) -> str:
    any_one = next(iter(conditions.values()))
    rows = [
        [
            name,
            f'{f["seconds"]:.0f} s',
            f'{f["error_mm"]:.2f}',
            f'{f["error_in_speech_mm"]:.2f}',
            f'{f["error_of_a_still_mouth_mm"]:.2f}',
            f'{f["gap_correlation"]:.3f}',
            f'{_percent(f["closed"])} of {f["bilabials"]}',
            _percent(f['closed_by_hard_lips']),
            _percent(f['closed_3_percent']),
            f'{_percent(f["nasals_closed"])} of {f["nasals"]}',
        ]
        for name, f in conditions.items()
    ]
    return '\n\n'.join(
        [
            '### Mouth',
            'Protocol: voices and words that neither the mouth nor the manifold has met, heard and moved by the live '
            'stages. Error: mean distance of the 25 mouth points from the truth, over all frames and over frames in '
            'speech; beside it that of a mouth that rests at its mean. Opening: correlation of the lip opening with '
            'the true one in speech. A P, B or M closes if the lip opening falls below 1 % of the largest true opening '
            f'({any_one["largest_opening_mm"]:.1f} mm in the first row) within the phone and 50 ms on either side. '
            'Soft lips (`mouth.seal`) close what is open by less than a pixel, and do so live; beside it the share '
            'without them, and with them below 3 %. Last, of the N and NG near which true lips stay apart, the share '
            'that close.',
            markdown_table(
                [
                    'recording, features',
                    'length',
                    'error (mm)',
                    'in speech',
                    'still mouth',
                    'opening r',
                    'P/B/M closed',
                    'hard lips',
                    '(3 %)',
                    'N/NG closed',
                ],
                rows,
            ),
        ]
    )


def _percent(share: float) -> str:
    return f'{100 * share:.1f} %'


def _head_pose(figures: dict[str, Any]) -> str:
    def row(name: str, d: dict[str, Any]) -> list[str]:
        values = [f'{d["landmarks"]:.1f} %', f'{d["velocity"]:.2f} %', f'{d["rotation"]:.1f}° / {d["position"]:.1f} %']
        return [name, *values]

    return '\n\n'.join(
        [
            '### Head pose',
            'Protocol: the part of the recording that validates, by default its last fifth '
            f'({figures["seconds"]:.0f} s), not trained on; the same part chose the checkpoint that was kept, so the '
            'figures are a little kind. The head begins 5 s earlier from rest and hears the sound; mean of '
            f'{figures["seeds"]} seeds. '
            "D-L, D-V: mean distance of the 73 landmarks and of their change per frame, in shares of the face's width; "
            "D-Rot: angle between the two heads; D-Pos: distance of the two translations in shares of the face's width "
            '(Zhou et al. 2020). Chosen at random, a natural motion does not meet the true one: the last line, true '
            'motion of the same person from another time, is what a perfect but deaf model would score.',
            markdown_table(
                ['', 'D-L', 'D-V', 'D-Rot/Pos'],
                [
                    row('ours', figures['ours']),
                    row('still head', figures['still_head']),
                    row('true motion of another time', figures['true_motion_of_another_time']),
                ],
            ),
            'Spread of the rotation (standard deviation of x, y, z in degrees): ours '
            f'{_triple(figures["euler_std"])}, true {_triple(figures["true_euler_std"])}.',
        ]
    )


def _triple(values: list[float]) -> str:
    return ', '.join(f'{value:.1f}' for value in values)


def _renderer(figures: dict[str, Any]) -> str:
    distance = f'{figures["perceptual"]:.3f} ({figures["backbone"]})' if figures.get('backbone') else 'not measured'
    return '\n\n'.join(
        [
            '### Renderer',
            f'Protocol: the {figures["pictures"]} held-out pictures (one excerpt), drawn from their true landmarks by '
            f'the engine `{figures["engine"]}`. L1 in grey levels of 255; PSNR and SSIM of whole pictures, and of the '
            'boxes around mouth and eyes with a margin of 12 pixels; perceptual distance: sum over five slices of '
            'the mean absolute difference of features, for SqueezeNet as a share of the mean feature. '
            'Beside it the PSNR of showing the mean of the candidate images. The same pictures chose the checkpoint '
            'that was kept, so the figures are a little kind.',
            markdown_table(
                [
                    'L1',
                    'PSNR (dB)',
                    'SSIM',
                    'mouth PSNR / SSIM',
                    'eyes PSNR / SSIM',
                    'perceptual',
                    'mean candidate (dB)',
                ],
                [
                    [
                        f'{figures["l1"]:.2f}',
                        f'{figures["psnr"]:.2f}',
                        f'{figures["ssim"]:.4f}',
                        f'{figures["psnr_mouth"]:.2f} / {figures["ssim_mouth"]:.3f}',
                        f'{figures["psnr_eyes"]:.2f} / {figures["ssim_eyes"]:.3f}',
                        distance,
                        f'{figures["psnr_of_mean_candidate"]:.2f}',
                    ]
                ],
            ),
        ]
    )


def _files(avatar: Avatar) -> str:
    rows = [[f'`{name}`', f'{(avatar.path / name).stat().st_size / 1e6:.2f} MB'] for name in avatar.manifest.files]
    total = sum((avatar.path / name).stat().st_size for name in avatar.manifest.files) / 1e6
    return markdown_table(['file', 'size'], [*rows, ['together', f'{total:.1f} MB']])
