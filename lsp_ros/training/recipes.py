"""How each network is trained: the paper's configuration, ours for a few CPU cores, and changes by name."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from lsp_ros.training.apc import APCTrainingConfig
from lsp_ros.training.head_pose import HeadPoseTrainingConfig
from lsp_ros.training.mouth import MouthTrainingConfig
from lsp_ros.training.renderer_module import RendererTrainingConfig
from lsp_ros.training.trainer import SETTINGS_FILE, TrainingConfig, cpu_precision

Config = TypeVar('Config', bound=TrainingConfig)

CONFIGS: dict[str, type[TrainingConfig]] = {
    'apc': APCTrainingConfig,
    'mouth': MouthTrainingConfig,
    'head_pose': HeadPoseTrainingConfig,
    'renderer': RendererTrainingConfig,
}


def config_on_cpu(network: str, minutes: float) -> TrainingConfig:
    """The configuration for a few CPU cores and a time in minutes: what we chose, not the paper's."""
    many: dict[str, Any] = {'epochs': 10_000, 'max_minutes': minutes, 'lr_end': 1e-5, 'precision': cpu_precision()}
    if network == 'apc':
        return APCTrainingConfig(lr=1e-3, batch=128, segment=60, validate_every=0.25, **many)
    if network == 'mouth':
        return MouthTrainingConfig(lr=1e-3, batch=48, sequence=120, **many)
    if network == 'head_pose':
        # Not in bfloat16: at ten degrees it steps by 0.06, more than a head moves from frame to frame.
        many['precision'] = '32-true'
        return HeadPoseTrainingConfig(
            lr=1e-3, batch=2, sequence=720, windows=400, dropout=0.1, history_noise=1.5, **many
        )
    return RendererTrainingConfig.on_cpu(minutes)


def config_of(run: Path, network: str) -> Any:
    """The configuration that a network of the run was trained with; the defaults where the run does not say."""
    kind, folder = CONFIGS[network], run / network
    return read_config(kind, folder) if (folder / SETTINGS_FILE).is_file() else kind()


def read_config(kind: type[Config], folder: Path) -> Config:
    """The configuration that a training wrote into its folder, the defaults for what it does not say. Names that this
    version does not know, as of settings that are gone, do not count. Raises OSError without that file."""
    stored = json.loads((folder / SETTINGS_FILE).read_text())
    known = {entry.name for entry in fields(kind)}
    return kind(**{name: value for name, value in stored.items() if name in known})


def changed(config: Config, **values: Any) -> Config:
    """A configuration with other values; ValueError naming the one that does not exist or has the wrong type."""
    for name, value in values.items():
        if not hasattr(config, name):
            known = ', '.join(sorted(vars(config)))
            raise ValueError(f'{name} is not a setting of {type(config).__name__} (known: {known})')
        present = getattr(config, name)
        if isinstance(present, tuple) and isinstance(value, list) and len(value) == len(present):
            values[name] = tuple(value)
        elif isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
            values[name] = float(value)
        elif present is not None and value is not None and type(value) is not type(present) and name != 'devices':
            raise ValueError(f'{name} must be like {present!r}, not {value!r}')
    return replace(config, **values)
