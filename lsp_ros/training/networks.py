"""Trains the networks of a run folder (:mod:`lsp_ros.training.run_folder`), one or all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_ros.training.apc import train_apc
from lsp_ros.training.assemble import build_avatar
from lsp_ros.training.dataset import load_dataset
from lsp_ros.training.head_pose import train_head_pose
from lsp_ros.training.mouth import train_mouth
from lsp_ros.training.quantize import quantize_new_avatar
from lsp_ros.training.recipes import CONFIGS
from lsp_ros.training.renderer import train_renderer
from lsp_ros.training.run_folder import listener
from lsp_ros.training.trainer import TrainingConfig, is_first_process


def train(network: str, run: Path, sources: list[Path], config: Any) -> None:
    """Trains one network in the run folder, with a configuration of its kind (``lsp_ros.training.recipes``).

    sources  for 'apc' folders of speech; else dataset folders, the person's own first: 'mouth' and
             'head_pose' learn from all of them, 'renderer' from the first
    """
    if network == 'apc':
        train_apc(sources, run / 'apc', config)
    elif network == 'mouth':
        train_mouth(sources, run / 'mouth', listener(run, sources), config, load_dataset(sources[0]).mean_points())
    elif network == 'head_pose':
        train_head_pose(sources, run / 'head_pose', listener(run, sources), config)
    else:
        train_renderer(sources[0], run / 'renderer', config)


def train_all(
    run: Path, corpus: list[Path], datasets: list[Path], configs: Mapping[str, TrainingConfig], folder: Path
) -> None:
    """Trains the four networks one after the other and writes the avatar; goes on where it was stopped."""
    for network in CONFIGS:
        train(network, run, corpus if network == 'apc' else datasets, configs[network])
    if is_first_process():
        build_avatar(run, datasets[0], folder)
        quantize_new_avatar(folder)
