"""The settings of a training from the options of ``lsp train`` and ``lsp evaluate``."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from lsp_ros.training.recipes import CONFIGS, changed, config_on_cpu
from lsp_ros.training.trainer import TrainingConfig


def training_settings(network: str, options: argparse.Namespace, more: Mapping[str, Any]) -> TrainingConfig:
    """The settings of one network: the paper's or those for a CPU, changed as the command line says.

    ``more`` holds those of ``--set`` (``parse_more``).
    """
    settings = CONFIGS[network]()
    if options.on_cpu is not None:
        settings = config_on_cpu(network, options.on_cpu)
    values = {name: getattr(options, name) for name in options.settings if getattr(options, name) is not None}
    if network == 'renderer':
        if options.size:
            values['size'] = options.size
        if options.backbone:
            values['backbone'] = None if options.backbone == 'none' else options.backbone
    return changed(settings, **values, **more)


def parse_more(pairs: Iterable[str]) -> dict[str, Any]:
    """['look_ahead=12', 'pause=[12, 60]'] -> the values as YAML reads them; ValueError for what is no pair."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition('=')
        if not equals:
            raise ValueError(f'--set {pair}: NAME=VALUE is needed.')
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError(f'--set {pair}: the value cannot be read.') from None
        try:  # YAML takes 1e-4, without a point, for a text
            value = float(value) if isinstance(value, str) else value
        except ValueError:
            pass
        values[name] = value
    return values


def known_to(network: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the ``--set`` values that are settings of this network's training."""
    return {name: value for name, value in more.items() if name in CONFIGS[network].__dataclass_fields__}


def check_known(networks: Iterable[str], more: Mapping[str, Any]) -> None:
    """Raises ValueError where a ``--set`` value is a setting of none of these trainings: that is a mistake."""
    known = {name for network in networks for name in known_to(network, more)}
    if unknown := sorted(set(more) - known):
        raise ValueError(f'--set {unknown[0]}: no training has such a setting.')
