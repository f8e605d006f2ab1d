"""``lsp avatar``: look at avatars."""

import argparse
from pathlib import Path

from lsp_ros.cli.arguments import command


def add_commands(commands) -> None:
    group = commands.add_parser('avatar', help='list avatars, check one, or add an agreement')
    actions = group.add_subparsers(title='actions', metavar='ACTION', required=True)
    command(actions, 'list', run_list, 'list the built-in avatars')
    check = command(actions, 'check', run_check, 'check every file of an avatar and print its card')
    check.add_argument('avatar', help='a folder, or the name of a built-in avatar')
    consent = command(actions, 'consent', run_consent, "put the person's agreement into an avatar that has none")
    consent.add_argument('avatar', help='a folder')
    consent.add_argument('agreement', type=Path, metavar='FILE', help='who agrees, and to what (docs/capture.md)')


def run_list(options: argparse.Namespace) -> int:
    from lsp_ros.avatar.load import built_in_avatars

    for folder in built_in_avatars():
        print(f'{folder.name}\t{folder}')
    return 0


def run_check(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from lsp_ros.avatar.load import Avatar, find_avatar
    from lsp_ros.motion.stage import MotionStage
    from lsp_ros.speech.stage import SpeechStage
    from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE

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
        ('eyes and brows', f'{len(avatar.face.eyes) / 60:.1f} s of footage'),
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
    return 0


def run_consent(options: argparse.Namespace) -> int:
    from lsp_ros.avatar.load import Avatar, find_avatar
    from lsp_ros.avatar.save import add_consent
    from lsp_ros.capture.consent import bind

    avatar = Avatar.load(find_avatar(options.avatar), parts=())
    add_consent(avatar.path, *bind(options.agreement, avatar.footage))
    print(f'{avatar.name}: {_consent(Avatar.load(avatar.path, parts=()))}')
    return 0


def _consent(avatar) -> str:
    consent, wrong = avatar.manifest.person.consent, avatar.unconsented
    if consent is None:
        return 'NONE ON RECORD: do not publish this person'
    agreed = f'{consent.who}, for {consent.purpose}, until {consent.until or "withdrawn"}'
    return f'NOT CONSENTED, do not publish this person: the consent {wrong}. It says: {agreed}' if wrong else agreed
