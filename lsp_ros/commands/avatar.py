"""``lsp avatar``: look at avatars, or add an agreement."""

import argparse

from rich.console import Console
from rich.table import Table

from lsp_ros.avatar.load import Avatar, built_in_avatars, find_avatar
from lsp_ros.avatar.save import add_consent
from lsp_ros.capture.consent import bind
from lsp_ros.motion.stage import MotionStage
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE


def run_list(options: argparse.Namespace) -> None:
    for folder in built_in_avatars():
        print(f'{folder.name}\t{folder}')


def run_check(options: argparse.Namespace) -> None:
    avatar = Avatar.load(find_avatar(options.avatar))
    look_ahead = SpeechStage.look_ahead / SAMPLE_RATE + MotionStage(avatar).look_ahead / FRAME_RATE
    manifest = avatar.manifest
    person = manifest.person
    sizes = {name: (avatar.path / name).stat().st_size for name in manifest.files}
    table = Table(show_header=False, title=f'Avatar {avatar.name}', title_justify='left')
    for key, value in (
        ('folder', avatar.path),
        ('licence', manifest.licence),
        ('source', manifest.source),
        ('person', person.kind),
        ('consent', 'not needed' if person.kind == 'synthetic' else _consent(avatar)),
        ('camera', f'f = {manifest.camera.matrix[0, 0]:g} px, 1 unit = {manifest.camera.metres_per_unit:g} m'),
        ('renderer', manifest.renderer.size),
        ('manifold', f'{len(avatar.manifold())} rows, {manifest.speech.neighbours} neighbours'),
        ('eyes and brows', f'{len(avatar.face.eyes) / FRAME_RATE:.1f} s of footage'),
        ('look-ahead', f'{1000 * look_ahead:.0f} ms'),
        (
            'head turns',
            ', '.join(
                f'{low:.0f} to {high:.0f}°'
                for low, high in zip(avatar.pose_range.euler_min, avatar.pose_range.euler_max, strict=True)
            ),
        ),
        ('files', f'{len(sizes)}, {sum(sizes.values()) / 1e6:.1f} MB, all as their checksums say'),
    ):
        table.add_row(key, str(value))
    Console().print(table)


def run_consent(options: argparse.Namespace) -> None:
    avatar = Avatar.load(find_avatar(options.avatar), parts=())
    add_consent(avatar.path, *bind(options.agreement, avatar.footage))
    print(f'{avatar.name}: {_consent(Avatar.load(avatar.path, parts=()))}')


def _consent(avatar: Avatar) -> str:
    consent, wrong = avatar.manifest.person.consent, avatar.unconsented
    if consent is None:
        return 'NONE ON RECORD: do not publish this person'
    agreed = f'{consent.who}, for {consent.purpose}, until {consent.until or "withdrawn"}'
    return f'NOT CONSENTED, do not publish this person: the consent {wrong}. It says: {agreed}' if wrong else agreed
