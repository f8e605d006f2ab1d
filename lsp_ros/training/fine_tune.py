"""A captured dataset -> an avatar, with what the built-in avatar already knows.

Few minutes of one person are enough for a renderer and for the way a mouth moves, not for hearing: the speech
representation is the built-in avatar's, and the mouth goes on learning from its mouth, which has heard hundreds of
people. The renderer begins with its renderer, which knows what lines mean.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_ros.avatar.architecture import POSE_RECEPTIVE_FIELD
from lsp_ros.avatar.consent import RECORD
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.storage import key_of, sha256_of_file, write_file
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.assemble import build_avatar
from lsp_ros.training.dataset import Dataset, load_dataset, runs
from lsp_ros.training.networks import train
from lsp_ros.training.quantize import quantize_new_avatar
from lsp_ros.training.recipes import CONFIGS, config_on_cpu
from lsp_ros.training.run_folder import give, weights_file

TEACHER = 'presenter'
FEWEST_POSES = 120  # frames of a sequence that head motion can be learned from
MOUTH_MINUTES = 10.0  # it begins with a mouth that knows how to speak; more only learns the footage by heart
KEY_VERSION = 2  # of the keys in a run folder
MOUTH_STREAMS = 10  # sequences that the validation footage of the mouth is cut into, at least


def learn(
    dataset: Path,
    run: Path,
    folder: Path,
    minutes: float,
    size: str = 'live',
    backbone: str | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Trains mouth, head pose and renderer for ``minutes`` each (the mouth ``MOUTH_MINUTES`` at most) and writes the
    avatar, its renderer in 8 bits included; goes on where it was stopped."""
    teacher = Avatar.load(find_avatar(TEACHER), ('speech', 'motion'))
    configs: dict[str, Any] = {
        network: config_on_cpu(network, minutes) for network in ('mouth', 'head_pose', 'renderer')
    }
    data = load_dataset(dataset)
    check_same(data, run)
    mouth, head = configs['mouth'], configs['head_pose']
    # Not projected, as the mouth that it begins with learned it (see its card). Short footage: short sequences.
    configs['mouth'] = replace(
        mouth,
        start=str(teacher.path / 'mouth.safetensors'),
        projected_share=0.0,
        max_minutes=min(minutes, MOUTH_MINUTES),
        sequence=min(mouth.sequence, max(1, int(data.validation_time.sum()) // MOUTH_STREAMS)),
    )
    start = teacher.path / f'renderer_{size}.safetensors'
    configs['renderer'] = replace(
        configs['renderer'], size=size, backbone=backbone, start=str(start) if start.is_file() else None
    )
    give_once(teacher, 'apc', run)
    longest = min(max((b - a for a, b in runs(mask)), default=0) for mask in (data.training_mask, data.validation_mask))
    room = longest - POSE_RECEPTIVE_FIELD - head.look_ahead
    train('mouth', run, [dataset], configs['mouth'])
    if room >= FEWEST_POSES:
        train('head_pose', run, [dataset], replace(head, sequence=min(head.sequence, room)))
    else:
        tell(
            f'No stretch of the footage is long enough to learn how this head moves ({longest / FRAME_RATE:.1f} s): '
            f'it moves as {TEACHER} does, within the range of this person.'
        )
        give_once(teacher, 'head_pose', run)
    train('renderer', run, [dataset], configs['renderer'])
    # What the avatar is made of; quantising takes minutes, and nothing of it would be another one.
    made_of = [
        file
        for file in (
            *(weights_file(run, network) for network in CONFIGS),
            run / 'manifold.npy',
            run / 'renderer' / 'candidates.npy',
            dataset / 'dataset.yaml',
            dataset / 'tracks.npz',
            dataset / RECORD,
        )
        if file is not None and file.is_file()
    ]
    looks = configs['mouth'].look_ahead, head.look_ahead
    key = run_key('avatar', str(folder.resolve()), size, looks, [sha256_of_file(file) for file in made_of])
    marker, quick = run / 'avatar.key', folder / f'renderer_{size}.int8.xml'
    if marker.is_file() and marker.read_text() == key and (folder / 'avatar.yaml').is_file() and quick.is_file():
        return
    marker.unlink(missing_ok=True)
    build_avatar(run, dataset, folder, size, *looks, projection=0.0)
    quantize_new_avatar(folder, tell)
    write_file(marker, key)


def run_key(*parts: object) -> str:
    """A short hash, 32 hexadecimal digits, of anything that JSON can write and of ``KEY_VERSION``."""
    return key_of([KEY_VERSION, *parts])[:32]


def check_same(data: Dataset, run: Path) -> None:
    """ValueError where the run folder began to learn from other footage: it may know what is held out now."""
    wanted = run_key(*(data.manifest.get(part) for part in ('camera', 'split', 'capture')))
    file = run / 'footage.key'
    if file.is_file() and file.read_text() != wanted:
        raise ValueError(
            f'{run} has begun to learn from other footage, or from another split of it: delete it, and '
            'the same command learns anew.'
        )
    if not file.is_file():
        write_file(file, wanted)


def give_once(teacher: Avatar, network: str, run: Path) -> None:
    """Puts another avatar's network into the run, unless it has one."""
    if weights_file(run, network) is None:
        give(run, network, teacher.weights(network))
