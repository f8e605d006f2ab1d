"""The run folder of an evaluation: the paper's tables (section 5.2) on one's own data, trained and measured row by row.

A row that compares a way of training is trained where it is missing, through the trainings of
:mod:`lsp_ros.training` with the settings that make it, in a folder of its own:

    <run>/table1/300ms/  best.ckpt ...   the training (lsp_ros.training.trainer), which goes on where it was stopped
                         begun.json      what it learns from, and with which settings
                         figures.json    what was measured, with the settings it was trained with and the data
    <run>/table1/300ms.1/                a training of other data or with other settings, set aside

A row whose figures are there, trained with the settings that are asked for and on the same data, is not done again.
Of figures of an earlier version, which do not name their data, nobody knows: they are printed with a note, and measured
again where they are asked for. Only a training of the same data, with the same settings, goes on.
"""

import itertools
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch

from lsp_ros.avatar.files import renderer_content
from lsp_ros.evaluation.paper_tables import TABLES, Row
from lsp_ros.evaluation.protocol_texts import TABLE_PROTOCOLS
from lsp_ros.evaluation.row_figures import MEASURES, Materials
from lsp_ros.machine import processor
from lsp_ros.storage import key_of, sha256_of_file, write_file
from lsp_ros.training.recipes import changed
from lsp_ros.training.trainer import TrainingConfig, spent
from lsp_ros.validation import as_mapping

FIGURES_FILE, BEGUN_FILE = 'figures.json', 'begun.json'

MACHINE = ('accelerator', 'devices', 'workers')
"""Settings that a training may go on with changed."""

log = logging.getLogger(__name__)


@dataclass
class Evaluation:
    """Measures rows, and finds again what was measured.

    configs  of the trainings, by network
    """

    materials: Materials
    configs: Mapping[str, TrainingConfig]

    def folder(self, table: str, row: Row) -> Path:
        return self.materials.run / table / row.key

    def wanted(self, table: str, row: Row) -> TrainingConfig | None:
        """The configuration of a row's training; None where nothing is trained."""
        if row.changes is None:
            return None
        return changed(self.configs[TABLES[table]], **row.changes)

    @cached_property
    def _digests(self) -> dict[str, Callable[[], str]]:
        """What rows may be measured with, by what it is to them: its SHA-256, for whoever asks."""
        materials, manifest = self.materials, self.materials.avatar.manifest
        sections = as_mapping(manifest)
        heard = ['apc.safetensors', *(['manifold.npy'] if manifest.speech.projection else [])]
        found = {
            'person': lambda: dataset_digest(materials.datasets[0]),
            'further datasets': lambda: key_of([dataset_digest(path) for path in materials.datasets[1:]]),
            'pictures': lambda: key_of(
                [[frame, sha256_of_file(path)] for frame, path in materials.person.pictures.items()]
            ),
            'held-out recording': lambda: dataset_digest(materials.held_out) if materials.held_out else '',
            'hearing': lambda: key_of([sections['speech'], *(manifest.files[name] for name in heard)]),
            'face': lambda: manifest.files['face.npz'],
            'mouth settings': lambda: key_of(sections['mouth']),
            'head settings': lambda: key_of([sections['head_pose'], sections['pose_range']]),
            'head network': lambda: manifest.files['head_pose.safetensors'],
            'renderer': lambda: renderer_content(manifest),
            'backbone': lambda: backbone_digest(materials.backbone),
        }
        return {name: cache(digest) for name, digest in found.items()}

    def learned(self, table: str) -> dict[str, str]:
        """SHA-256 of what a table's trainings learn from."""
        names = {
            'table1': ('person', 'further datasets', 'hearing', 'face'),
            'table2': ('person', 'hearing'),
            'table3': ('person', 'pictures', 'backbone'),
        }[table]
        return {name: self._digests[name]() for name in names}

    def data(self, table: str, row: Row) -> dict[str, str]:
        """SHA-256 of all that a row is measured with: what its training learns from, and what judges it."""
        names = {
            'table1': ('held-out recording', 'mouth settings'),
            'table2': ('held-out recording', 'face', 'head settings'),
            'table3': (),
        }[table]
        if row.key == 'shipped':
            names += ('head network' if table == 'table2' else 'renderer',)
        return self.learned(table) | {name: self._digests[name]() for name in names}

    def differs(self, table: str, row: Row, known: dict[str, Any]) -> str:
        """In what figures that were measured before differ from what is asked for now; empty: in nothing."""
        had, wanted, data = known['settings'] or {}, as_json(self.wanted(table, row)), known.get('data')
        found = [
            f'{name} {had.get(name)} instead of {wanted.get(name)}'
            for name in sorted({*had, *wanted})
            if had.get(name) != wanted.get(name)
        ]
        if data is None:
            return ', '.join([*found, 'data unknown'])
        others = [name for name, digest in self.data(table, row).items() if data.get(name) != digest]
        return ', '.join([*found, *(f'other {name}' for name in others)])

    def begin(self, table: str, row: Row) -> None:
        """Makes a row's folder ready for its training: one that learned from something else is set aside."""
        folder, settings = self.folder(table, row), as_json(self.wanted(table, row))
        wanted = {'data': self.learned(table), 'settings': {k: v for k, v in settings.items() if k not in MACHINE}}
        file = folder / BEGUN_FILE
        begun = json.loads(file.read_text()) if file.is_file() else None
        if (folder / 'last.ckpt').is_file() and begun != wanted:
            aside = next(
                path
                for number in itertools.count(1)
                if not (path := folder.with_name(f'{folder.name}.{number}')).exists()
            )
            log.warning(
                '%s holds a training of other or unknown data or settings, which is set aside as %s', folder, aside.name
            )
            folder.rename(aside)
        write_file(file, json.dumps(wanted, indent=1) + '\n')

    def measure(self, table: str, row: Row) -> dict[str, Any]:
        """A row's figures, which are written down; what was trained and measured before is not done again."""
        config, folder = self.wanted(table, row), self.folder(table, row)
        known = measured(self.materials.run, table, row)
        if known and config and not self.differs(table, row, known):
            return known
        if config:
            self.begin(table, row)
        folder.mkdir(parents=True, exist_ok=True)
        figures = MEASURES[table](self.materials, row, config, folder)
        made = {
            'table': table,
            'row': row.key,
            'name': row.name,
            'protocol': TABLE_PROTOCOLS[table],
            'figures': figures,
            'paper': row.paper,
            'trained': {key: round(value, 2) for key, value in spent(folder).items()} if config else None,
            'settings': as_json(config) if config else None,
            'data': self.data(table, row),
            'machine': torch.cuda.get_device_name() if torch.cuda.is_available() else processor(),
        }
        write_file(folder / FIGURES_FILE, json.dumps(made, indent=1) + '\n')
        return made


def dataset_digest(folder: Path) -> str:
    """SHA-256 of a dataset but for its pictures."""
    files = [folder / name for name in ('dataset.yaml', 'tracks.npz', 'audio.wav', 'phones.json')]
    return key_of([sha256_of_file(file) for file in files if file.is_file()])


def backbone_digest(backbone: str | None) -> str:
    """SHA-256 of a backbone's file; its name where it is fetched."""
    return sha256_of_file(Path(backbone)) if backbone and Path(backbone).is_file() else backbone or ''


def as_json(config: TrainingConfig | None) -> dict[str, Any]:
    """A configuration as JSON keeps it: lists instead of tuples; empty for None."""
    return json.loads(json.dumps(asdict(config))) if config else {}


def measured(run: Path, table: str, row: Row) -> dict[str, Any] | None:
    """The figures of a row that was measured in this run folder before."""
    file = run / table / row.key / FIGURES_FILE
    return json.loads(file.read_text()) if file.is_file() else None
