"""Make the built-in avatar from nothing but data: avatars/presenter.

    python tools/make_presenter.py PRESENTER_FOLDER --corpus SPEECH_FOLDER... [--minutes 50] [--run runs] [--out FOLDER]

PRESENTER_FOLDER is the synthetic presenter (timeline.npz, frames/, rig.npz, scripts/, ...). Every step
leaves its result in the run folder and goes on from there when the tool is started again:

    data     dataset folders: the presenter, and his face speaking in many voices and, with --people, with real ones
    apc      the speech representation, from the corpus
    mouth    with all voices but ``awb``, which is kept for the figures
    head_pose, renderer
    avatar   the avatar folder, with its renderer in 8 bits
    card     the figures, and the model card

``--steps avatar card`` repeats the named steps alone.
"""

import argparse
import json
import logging
from pathlib import Path

import presenter_dataset
import voices

from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation.apc_figures import apc_figures
from lsp_ros.evaluation.card import write_card
from lsp_ros.evaluation.head_protocols import evaluate_head_pose
from lsp_ros.evaluation.mouth_protocols import evaluate_mouth
from lsp_ros.evaluation.picture_protocols import evaluate_renderer
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training import networks, run_folder
from lsp_ros.training.assemble import build_avatar
from lsp_ros.training.dataset import load_dataset
from lsp_ros.training.head_pose import train_head_pose
from lsp_ros.training.mouth import train_mouth
from lsp_ros.training.perceptual import load_backbone
from lsp_ros.training.quantize import quantize_new_avatar
from lsp_ros.training.recipes import config_on_cpu
from lsp_ros.training.renderer import train_renderer
from lsp_ros.training.trainer import SETTINGS_FILE, spent

STEPS = ('data', 'apc', 'mouth', 'head_pose', 'renderer', 'avatar', 'card')
NETWORKS = ('apc', 'mouth', 'head_pose', 'renderer')
PEOPLE = 'LibriSpeech, CC BY 4.0'

LIMITS = """\
- The person and his motion are synthetic and made by rules, and so are most voices; his head gestures \
follow loudness and stress, as those rules have it.
- Heads far outside the trained poses are not drawn well; poses are therefore clamped (`pose_range` in `avatar.yaml`).
- The look of the eyes is that of the recording: gaze is not controlled.
- English speech taught the mouth; other languages work as far as their sounds resemble English ones.
- The mouth learned from hundreds of people and hears a stranger better without manifold projection, which is off \
(`speech.projection`) and can be put on."""


def speaking_folders(run: Path) -> list[Path]:
    """The dataset folders that mouth and manifold may learn from."""
    folders = [folder for folder in (run / 'data' / 'voices').iterdir() if folder.name not in voices.HELD_OUT]
    return sorted(folders, key=lambda folder: (folder.name.endswith(voices.SALAD), folder.name)) + people_folders(run)


def people_folders(run: Path) -> list[Path]:
    """The dataset folders in which recorded people speak."""
    return sorted(file.parent for file in (run / 'data' / 'people').glob('*/dataset.yaml'))


def make_data(presenter: Path, run: Path, recordings: Path | None) -> None:
    if not (run / 'data' / 'presenter' / 'dataset.yaml').exists():
        presenter_dataset.convert(presenter, run / 'data' / 'presenter')
    voices.make_all(presenter, run / 'data' / 'voices')
    if recordings:
        import people  # needs pocketsphinx, which nothing else does

        people.make_all(presenter, recordings, run / 'data' / 'people')


def train(network: str, run: Path, corpus: list[Path], settings) -> None:
    person = run / 'data' / 'presenter'
    if network == 'apc':
        networks.train('apc', run, corpus, settings)
    elif network == 'renderer':
        train_renderer(person, run / 'renderer', settings)
    else:
        # The manifold holds the voices alone: the presenter's own recording also has sentences of the held-out one.
        spoken = speaking_folders(run)
        listener = run_folder.listener(run, spoken)
        if network == 'mouth':
            train_mouth(spoken, run / 'mouth', listener, settings, load_dataset(person).mean_points())
        else:
            train_head_pose([person, *spoken], run / 'head_pose', listener, settings)


def measure(avatar: Avatar, run: Path, backbone: str | None) -> dict:
    """All figures of the card."""
    person = load_dataset(run / 'data' / 'presenter')
    strangers = {name: load_dataset(run / 'data' / 'voices' / name) for name in voices.HELD_OUT}
    first = strangers[voices.HELD_OUT_VOICE.name]
    network = load_backbone(backbone) if backbone else None
    return {
        'apc': apc_figures(run / 'apc'),
        'mouth': {
            **{f'{name}, raw (as shipped)': evaluate_mouth(avatar, clip) for name, clip in strangers.items()},
            f'{voices.HELD_OUT_VOICE.name}, projected on the manifold': evaluate_mouth(avatar, first, projection=1.0),
        },
        'head_pose': evaluate_head_pose(avatar, person),
        'renderer': evaluate_renderer(avatar, person, network),
    }


def notes(run: Path, corpus: list[str]) -> dict[str, str]:
    """The card's paragraphs on data and training, from what lies in the run folder."""
    person = load_dataset(run / 'data' / 'presenter')
    recorded = [load_dataset(folder) for folder in people_folders(run)]
    clips = [load_dataset(folder) for folder in speaking_folders(run)]
    made, real = (sum(map(len, part)) / FRAME_RATE / 60 for part in (clips[: len(clips) - len(recorded)], recorded))
    unknown = sum(int((~clip.known_mask).sum()) for clip in recorded) / FRAME_RATE / 60
    data = [
        f'- Person: {len(person) / FRAME_RATE:.0f} s of exact motion at 60 fps, {len(person.training_pictures())} '
        f'pictures for training and {len(person.validation_pictures())} (one excerpt, its sentence held out) for '
        'validation. The last fifth of the motion validates the head pose.',
        f'- Mouth and manifold: {made:.0f} minutes in {len(voices.TRAINING_VOICES)} synthetic voices (flite, festival '
        "and espeak-ng) with the exact motion of this person's face, and the same face moved by "
        f'{real:.0f} minutes of recorded people ({PEOPLE}) with phone times found by a speech recogniser, '
        f'{unknown:.0f} of these minutes unknown and not learned from. The last fifth of each clip validates; many '
        f'were heard also through other rooms and microphones. The voices '
        'awb (sentences, and made-up words), ona and nsk (plain syllables by a Catalan woman and an Indian man) are '
        'held out.',
        f'- Speech representation: {"; ".join(corpus)}.',
    ]
    rows = []
    for network in NETWORKS:
        done = spent(run / network)
        file = run / network / SETTINGS_FILE
        settings = json.loads(file.read_text()) if file.exists() else {}
        told = ', '.join(f'{key} {settings[key]}' for key in ('batch', 'lr', 'lr_end', 'precision') if key in settings)
        rows.append(f'| {network} | {done["epochs"]} | {done["steps"]} | {done["minutes"]:.0f} | {told} |')
    table = '\n'.join(['| network | epochs | steps | minutes | settings |', '|---|---|---|---|---|', *rows])
    backbone = (run / 'renderer' / 'backbone.txt').read_text().strip()
    told = (
        'With the networks and losses of the paper and settings for a small time budget (`--on-cpu`). '
        f'Perceptual loss: {backbone}. Best model by validation loss.'
    )
    more = run / 'notes.md'  # what a person has to add, such as the machine
    parts = [told, table, *([more.read_text().strip()] if more.exists() else [])]
    return {'Data': '\n'.join(data), 'Training': '\n\n'.join(parts), 'Limits': LIMITS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('presenter', type=Path)
    parser.add_argument('--corpus', type=Path, nargs='+', default=[], help='folders of speech for the APC')
    parser.add_argument('--corpus-name', nargs='+', default=[], help='how the card names them, with their licences')
    parser.add_argument('--people', type=Path, help=f'recordings of many people: {PEOPLE}')
    parser.add_argument('--backbone', help='weight file of the perceptual loss (SqueezeNet .npz or VGG19 .pth)')
    parser.add_argument('--minutes', type=float, default=50, help='of each training')
    parser.add_argument('--run', type=Path, default=Path('runs'))
    parser.add_argument('--out', type=Path, default=Path('avatars') / 'presenter')
    parser.add_argument('--steps', nargs='+', choices=STEPS, default=STEPS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    for step in STEPS:
        if step not in arguments.steps:
            continue
        if step == 'data':
            make_data(arguments.presenter, arguments.run, arguments.people)
        elif step in NETWORKS:
            settings = config_on_cpu(step, arguments.minutes)
            if step == 'renderer':
                settings.backbone = arguments.backbone
            train(step, arguments.run, arguments.corpus, settings)
        elif step == 'avatar':
            build_avatar(arguments.run, arguments.run / 'data' / 'presenter', arguments.out, projection=0.0)
            quantize_new_avatar(arguments.out)
        else:
            avatar = Avatar.load(arguments.out)
            names = arguments.corpus_name or [path.name for path in arguments.corpus]
            figures = measure(avatar, arguments.run, arguments.backbone)
            print(write_card(avatar, figures, notes(arguments.run, names)))


if __name__ == '__main__':
    main()
