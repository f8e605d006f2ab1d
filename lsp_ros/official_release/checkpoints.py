"""Checkpoints of the release to tensors by our names; nothing is unpickled but tensors."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.official_release.files import ReleaseError, check_download, line, short
from lsp_ros.rendering.generator import Generator
from lsp_ros.speech.apc import APC

# A tensor's name here -> its name in the release, without `module.`.
_RENAMING: dict[str, list[tuple[str, str]]] = {
    'apc': [(r'gru\.(\w+)_l(\d)', r'rnns.\2.\1_l0')],
    'mouth': [('encoder', 'downsample'), ('lstm', 'LSTM'), ('decoder', 'fc')],
    'head_pose': [
        ('encoder', 'audio_downsample'),
        (r'(start)(\d)', r'WaveNet.\1_conv\2'),
        (r'(end)(\d)', r'WaveNet.\1_conv_\2'),
        (r'layers\.(\d+)\.(\w+)', r'WaveNet.residual_blocks.\1.\2_conv'),
    ],
    'renderer': [('unet', 'netG.model')],
}
# What training leaves in a checkpoint and no picture needs: the head that predicts mel frames, the discriminator,
# and the networks inside losses.
_TRAINING_ONLY = {'apc': ('postnet.',), 'renderer': ('netD.', 'criterion', 'vgg')}


def expected_tensors(network: str, size: str = 'normal', width: int = 64) -> dict[str, tuple[str, torch.Tensor]]:
    """Names in the release (without ``module.``) -> our name and a tensor without storage of the shape and type."""
    with torch.device('meta'):
        made = {'apc': APC, 'mouth': MouthNet, 'head_pose': HeadPoseNet, 'renderer': lambda: Generator(size, width)}[
            network
        ]()
    expected = {}
    for name, tensor in made.state_dict().items():
        for ours, theirs in _RENAMING[network]:
            renamed, changes = re.subn(f'^{ours}', theirs, name)
            if changes:
                expected[renamed] = (name, tensor)
                break
    return expected


def read_network(
    path: Path, network: str, size: str = 'normal', skip_unknown: bool = False
) -> tuple[dict[str, np.ndarray], list[str]]:
    """One checkpoint of the release: tensors by our names, and the file's names of those left out.

    network  'apc', 'mouth', 'head_pose' or 'renderer' (of ``size``; its width is the one of the first tensor)

    Raises ReleaseError naming the first tensor that is missing, unknown, of another shape or type, or not finite.
    """
    found = _load(path)
    width = 64
    if network == 'renderer':
        _, first = found.get('netG.model.model.0.weight', ('', torch.empty(64)))
        width = first.shape[0] if first.ndim == 4 and 1 <= first.shape[0] <= 256 else width
    expected = expected_tensors(network, size, width)
    missing = [name for name in expected if name not in found]
    if missing:
        raise ReleaseError(f'{path}: the tensor {missing[0]} is missing{_more(missing)}.')
    unknown = [name for name in found if name not in expected]
    surplus = [name for name in unknown if not name.startswith(_TRAINING_ONLY.get(network, ()))]
    if surplus and not skip_unknown:
        raise ReleaseError(
            f'{path}: the tensor {found[surplus[0]][0]} is in no network of this kind'
            f'{_more(surplus)}; --skip-unknown-tensors leaves such tensors out.'
        )
    tensors = {ours: _checked(path, *found[name], wanted) for name, (ours, wanted) in expected.items()}
    return tensors, [found[name][0] for name in unknown]


def _load(path: Path) -> dict[str, tuple[str, torch.Tensor]]:
    """Tensors of a file by their names without ``module.``, each with its full name."""
    if path.is_file():
        check_download(path)
    try:
        table = torch.load(path, map_location='cpu', weights_only=True)
    except OSError as error:
        raise ReleaseError(f'{path}: cannot be read ({line(error)}).') from None
    except Exception as error:  # zip, pickle and torch errors of many kinds, one for each way to be damaged
        if 'weights only' in str(error).lower() and 'unsupported' in str(error).lower():
            raise ReleaseError(f'{path}: holds Python objects besides tensors, which are never loaded.') from None
        inside = _archived(path)
        if inside:
            raise ReleaseError(
                f'{path}: is a zip archive that holds {inside}, not a PyTorch checkpoint: unpack it.'
            ) from None
        raise ReleaseError(f'{path}: is damaged or not a PyTorch checkpoint ({line(error)}).') from None
    if not isinstance(table, Mapping):
        raise ReleaseError(f'{path}: holds a {type(table).__name__}, not a table of tensors.')
    found: dict[str, tuple[str, torch.Tensor]] = {}
    for key, tensor in table.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise ReleaseError(f'{path}: the entry {short(key)} is a {type(tensor).__name__}, not a tensor.')
        name = re.sub(r'^(module\.)+', '', key)
        if name in found:
            raise ReleaseError(f'{path}: the tensors {found[name][0]} and {key} are the same one twice.')
        found[name] = (key, tensor)
    return found


def _archived(path: Path) -> str | None:
    """The first file of a zip archive that is no checkpoint; None for anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith('/')]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    return names[0] if names and not any(name.endswith('data.pkl') for name in names) else None


def _checked(path: Path, key: str, tensor: torch.Tensor, wanted: torch.Tensor) -> np.ndarray:
    if tensor.dtype != wanted.dtype or tensor.layout != torch.strided or tensor.is_quantized:
        raise ReleaseError(f'{path}: the tensor {key} has the type {_type(tensor)}, not {_type(wanted)}.')
    if tensor.shape != wanted.shape:
        raise ReleaseError(f'{path}: the tensor {key} has the shape {tuple(tensor.shape)}, not {tuple(wanted.shape)}.')
    array = tensor.detach().contiguous().numpy()
    if not np.isfinite(array).all():
        raise ReleaseError(f'{path}: the tensor {key} has values that are not finite.')
    if key.endswith('running_var') and (array < 0).any():
        raise ReleaseError(f'{path}: the tensor {key} is a variance with values below 0.')
    return array


def _type(tensor: torch.Tensor) -> str:
    layout = '' if tensor.layout == torch.strided else f' ({str(tensor.layout).removeprefix("torch.")})'
    return str(tensor.dtype).removeprefix('torch.') + layout


def _more(names: list) -> str:
    return f', and {len(names) - 1} more' if len(names) > 1 else ''
