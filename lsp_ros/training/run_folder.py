"""A run folder: what its trainings leave, and what they hear with.

    <run>/apc/  mouth/  head_pose/  renderer/   a folder for each training (lsp_ros.training.trainer)
    <run>/<network>/given.safetensors           weights that were not trained here but given (``give``)
    <run>/manifold.npy  manifold.sha256         the person's speech features, and what they were made of
    <run>/features/                             what the motion networks hear, kept between trainings

Later trainings read what earlier ones left, so each can be repeated by itself.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch

from lsp_ros.speech.apc import APC
from lsp_ros.speech.manifold import Manifold
from lsp_ros.storage import sha256, whole_file, write_file
from lsp_ros.training.dataset import Dataset, load_dataset
from lsp_ros.training.features import Listener
from lsp_ros.training.manifold import person_manifold
from lsp_ros.training.trainer import checkpoint_weights, read_weights

log = logging.getLogger(__name__)

MODULES = {'apc': 'apc', 'mouth': 'net', 'head_pose': 'net', 'renderer': 'generator'}
"""What each network is called in the module that trains it, and so in its checkpoint."""

GIVEN_FILE = 'given.safetensors'


def give(run: Path, network: str, weights: Mapping[str, np.ndarray]) -> None:
    """Puts weights into a run that stand for a training of this network, as long as it has none of its own."""
    write_file(run / network / GIVEN_FILE, safetensors.numpy.save(dict(weights)))


def weights_file(run: Path, network: str) -> Path | None:
    """The file with the best weights of a network: of its training, else those given; None where there are none."""
    files = (run / network / 'best.ckpt', run / network / GIVEN_FILE)
    return next((file for file in files if file.is_file()), None)


def trained(run: Path, network: str) -> dict[str, torch.Tensor]:
    """The best weights of a network in the run folder, rounded to float16, which is what an avatar ships."""
    file = weights_file(run, network)
    if file is None:
        raise ValueError(f'{run / network / "best.ckpt"}: missing; train {network} first')
    if file.name == GIVEN_FILE:
        weights = {name: torch.from_numpy(value) for name, value in read_weights(str(file), network).items()}
    else:
        weights = checkpoint_weights(file, MODULES[network])
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}


def listener(run: Path, datasets: list[Path]) -> Listener:
    """What the motion networks hear with: the run's APC, and the manifold of the datasets' speech."""
    apc = APC().eval()
    apc.load_state_dict({name: tensor.float() for name, tensor in trained(run, 'apc').items()})
    file, origin = run / 'manifold.npy', run / 'manifold.sha256'
    loaded = [load_dataset(path) for path in datasets]
    key = manifold_key(apc, loaded)
    if not file.is_file() or not origin.is_file() or origin.read_text().strip() != key:
        for network in ('mouth', 'head_pose') if file.is_file() else ():
            if (run / network / 'best.ckpt').is_file():
                log.warning(
                    '%s was made by another APC or of other datasets and is made again; %s learned with the '
                    'old one: train it anew, in a run folder of its own',
                    file,
                    network,
                )
        rows = person_manifold(apc, [clip for data in loaded for clip in data.training_audio()])
        with whole_file(file) as scratch:
            np.save(scratch, rows.astype(np.float16))
        write_file(origin, f'{key}\n')
    return Listener(apc, Manifold(np.load(file, allow_pickle=False).astype(np.float32)), run / 'features')


def manifold_key(apc: APC, datasets: list[Dataset]) -> str:
    """Hash of what a manifold is made of: the APC's weights, the datasets' sound and what of it is learned from."""
    parts: list[bytes | np.ndarray] = [tensor.numpy() for tensor in apc.state_dict().values()]
    for data in datasets:
        parts += [bytes.fromhex(sha256(data.read_audio())), np.packbits(data.training_time)]
    return sha256(*parts)
