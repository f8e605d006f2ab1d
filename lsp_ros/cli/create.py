"""``lsp create``: videos of a person become an avatar."""

from pathlib import Path

from lsp_ros.cli.arguments import Commands, amount, command


def add_commands(commands: Commands) -> None:
    parser = command(
        commands,
        'create',
        'lsp_ros.commands.create:run_create',
        'make an avatar from videos of a person; the same command goes on where it was stopped',
    )
    parser.add_argument('videos', type=Path, nargs='+', metavar='VIDEO', help='footage of one person with one camera')
    parser.add_argument('--name', required=True, help='of the avatar: letters, digits, - and _')
    parser.add_argument(
        '--consent',
        type=Path,
        default=None,
        metavar='FILE',
        help='the agreement of the person shown (docs/capture.md); without one the avatar is marked',
    )
    parser.add_argument('--synthetic', action='store_true', help='the person is computer-generated')
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default=None,
        metavar='FOLDER',
        help='for dataset, report and avatar; default: a folder of that name',
    )
    parser.add_argument('--licence', default='all rights reserved by the person shown', help='of pictures and sound')
    parser.add_argument('--source', default=None, metavar='TEXT', help='where the footage is from; default: file names')
    parser.add_argument(
        '--focal',
        type=amount,
        default=None,
        metavar='PIXELS',
        help="the camera's focal length in pixels of the video; default: searched",
    )
    parser.add_argument(
        '--detector',
        type=Path,
        default=None,
        metavar='PYTHON',
        help='a Python that has mediapipe; default: what `make setup-capture` installed',
    )
    parser.add_argument(
        '--landmarker',
        type=Path,
        default=None,
        metavar='FILE',
        help='a face_landmarker.task instead of the models in the mediapipe wheel',
    )
    parser.add_argument(
        '--held-out',
        type=Path,
        action='append',
        default=[],
        metavar='VIDEO',
        help='one of the videos that nothing learns from, to see the avatar on it; may be repeated',
    )
    parser.add_argument('--dataset-only', action='store_true', help='stop before the training')
    parser.add_argument(
        '--minutes', type=amount, default=50.0, help='of each training on the CPU; of the mouth 10 at most'
    )
    parser.add_argument('--backbone', default=None, metavar='FILE', help='weights of the perceptual loss (lsp train)')
