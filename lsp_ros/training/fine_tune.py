"""A captured dataset -> an avatar, with what the built-in avatar already knows.

Few minutes of one person are enough for a renderer and for the way a mouth moves, not for hearing: the speech
representation is the built-in avatar's, and the mouth goes on learning from its mouth, which has heard hundreds of
people. The renderer begins with its renderer, which knows what lines mean.
"""

import os
from dataclasses import replace
from pathlib import Path

import torch

from lsp_ros.avatar.architecture import POSE_RECEPTIVE_FIELD
from lsp_ros.avatar.consent import RECORD
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.capture.kept import key_of
from lsp_ros.capture.video import file_sha256
from lsp_ros.training import build
from lsp_ros.training.dataset import Dataset, load_dataset, runs

TEACHER = 'presenter'
FEWEST_POSES = 120  # frames of a sequence that head motion can be learned from
MOUTH_MINUTES = 10.0  # it begins with a mouth that knows how to speak; more only learns the footage by heart
MOUTH_STREAMS = 10  # sequences that the validation footage of the mouth is cut into, at least


def learn(
    dataset: Path, run: Path, folder: Path, minutes: float, size: str = 'live', backbone: str | None = None, tell=print
) -> None:
    """Trains mouth, head pose and renderer for ``minutes`` each (the mouth ``MOUTH_MINUTES`` at most) and writes the
    avatar, its renderer in 8 bits included; goes on where it was stopped."""
    teacher = Avatar.load(find_avatar(TEACHER), ('speech', 'motion'))
    settings = {network: build.settings_on_cpu(network, minutes) for network in ('mouth', 'head_pose', 'renderer')}
    data = load_dataset(dataset)
    check_same(data, run)
    mouth, head = settings['mouth'], settings['head_pose']
    # Not projected, as the mouth that it begins with learned it (see its card). Short footage: short sequences.
    settings['mouth'] = replace(
        mouth,
        start=str(teacher.path / 'mouth.safetensors'),
        projected_share=0.0,
        max_minutes=min(minutes, MOUTH_MINUTES),
        sequence=min(mouth.sequence, max(1, int(data.validation_time.sum()) // MOUTH_STREAMS)),
    )
    start = teacher.path / f'renderer_{size}.safetensors'
    settings['renderer'] = replace(
        settings['renderer'], size=size, backbone=backbone, start=str(start) if start.is_file() else None
    )
    give(teacher, 'apc', run)
    longest = min(max((b - a for a, b in runs(mask)), default=0) for mask in (data.training_mask, data.validation_mask))
    room = longest - POSE_RECEPTIVE_FIELD - head.look_ahead
    build.train('mouth', run, [dataset], settings['mouth'])
    if room >= FEWEST_POSES:
        build.train('head_pose', run, [dataset], replace(head, sequence=min(head.sequence, room)))
    else:
        tell(
            f'No stretch of the footage is long enough to learn how this head moves ({longest / 60:.1f} s): it moves '
            f'as {TEACHER} does, within the range of this person.'
        )
        give(teacher, 'head_pose', run)
    build.train('renderer', run, [dataset], settings['renderer'])
    # What the avatar is made of; quantising takes minutes, and nothing of it would be another one.
    made_of = [
        file
        for file in (
            *(run / network / 'best.ckpt' for network in build.SETTINGS),
            run / 'manifold.npy',
            run / 'renderer' / 'candidates.npy',
            dataset / 'dataset.yaml',
            dataset / 'tracks.npz',
            dataset / RECORD,
        )
        if file.is_file()
    ]
    looks = settings['mouth'].look_ahead, head.look_ahead
    key = key_of('avatar', str(folder.resolve()), size, looks, [file_sha256(file) for file in made_of])
    marker, quick = run / 'avatar.key', folder / f'renderer_{size}.int8.xml'
    if marker.is_file() and marker.read_text() == key and (folder / 'avatar.yaml').is_file() and quick.is_file():
        return
    marker.unlink(missing_ok=True)
    build.build_avatar(run, dataset, folder, size, *looks, projection=0.0)
    build.quantise(folder, tell)
    write_whole(marker, key)


def check_same(data: Dataset, run: Path) -> None:
    """ValueError where the run folder began to learn from other footage: it may know what is held out now."""
    wanted, file = key_of(*(data.manifest.get(part) for part in ('camera', 'split', 'capture'))), run / 'footage.key'
    if file.is_file() and file.read_text() != wanted:
        raise ValueError(
            f'{run} has begun to learn from other footage, or from another split of it: delete it, and '
            'the same command learns anew.'
        )
    run.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        write_whole(file, wanted)


def write_whole(file: Path, text: str) -> None:
    """Writes a file all or not at all, whenever this process is killed."""
    scratch = file.with_name(f'.{file.name}.{os.getpid()}')
    scratch.write_text(text)
    os.replace(scratch, file)


def give(teacher: Avatar, network: str, run: Path) -> None:
    """Puts another avatar's network where a training would have left its best one."""
    file = run / network / 'best.ckpt'
    if file.is_file():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    prefix = build.PREFIX[network]
    weights = {f'{prefix}.{name}': torch.from_numpy(value) for name, value in teacher.weights(network).items()}
    scratch = file.with_suffix('.part')
    torch.save({'state_dict': weights}, scratch)
    os.replace(scratch, file)
