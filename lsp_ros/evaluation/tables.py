"""The paper's tables 1, 2 and 3 (section 5.2) on one's own data, row by row.

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
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch

from lsp_ros.avatar.avatar import Avatar, renderer_content
from lsp_ros.avatar.manifest import as_mapping
from lsp_ros.evaluation.head_variants import judge_head, sampler_of
from lsp_ros.evaluation.protocols import (
    WARM_UP,
    compare_heads,
    compare_pictures,
    evaluate_mouth,
    evaluate_renderer,
    hear,
    judged_part,
    still_head,
    with_networks,
    with_settings,
)
from lsp_ros.machine import processor
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.rendering.sizes import SIZES
from lsp_ros.signals import SpeechFeatures
from lsp_ros.speech.apc import APC
from lsp_ros.speech.manifold import Manifold
from lsp_ros.storage import key_of, sha256_of_file, write_file
from lsp_ros.timeline import FRAME_RATE, frame_start
from lsp_ros.training.dataset import Dataset, load_dataset
from lsp_ros.training.features import FRAME_FEATURES, Listener
from lsp_ros.training.head_pose import network, train_head_pose
from lsp_ros.training.mouth import MouthData, train_mouth
from lsp_ros.training.perceptual import load_backbone
from lsp_ros.training.recipes import changed
from lsp_ros.training.renderer import train_renderer
from lsp_ros.training.renderer_module import RendererTraining, RendererTrainingConfig
from lsp_ros.training.trainer import TrainingConfig, spent

FIGURES_FILE, BEGUN_FILE = 'figures.json', 'begun.json'
TABLES = {'table1': 'mouth', 'table2': 'head_pose', 'table3': 'renderer'}
"""Each table, and the training that its rows vary."""

MACHINE = ('accelerator', 'devices', 'workers')
"""Settings that a training may go on with changed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One row of a table.

    key      its folder, and what it is called by on the command line
    name     as the paper has it
    changes  the settings of the training that make it; None: nothing is trained for it
    paper    the paper's own figures for it, by column; None: the paper has no such row
    part     of table 3
    built    False: another system, of which only the paper's figures are shown
    """

    key: str
    name: str
    changes: dict | None = field(default_factory=dict)
    paper: dict | None = None
    part: str = ''
    built: bool = True


DELAYS = {0: 5.309, 50: 5.280, 100: 5.117, 150: 5.335, 200: 5.160, 300: 4.916, 400: 5.248, 500: 5.539}
TABLE1 = [
    Row(f'{ms}ms', f'{ms} ms', {'look_ahead': ms * FRAME_RATE // 1000}, {'error_mm': error})
    for ms, error in DELAYS.items()
]


def _heads(landmarks: float, velocity: float, rotation: float, position: float) -> dict:
    return {'landmarks': landmarks, 'velocity': velocity, 'rotation': rotation, 'position': position}


TABLE2 = [
    Row('lstm_l2', 'LSTM (L2)', {'recurrent': True, 'probabilistic': False}, _heads(4.9, 1.1, 6.9, 12.2)),
    Row('lstm_probabilistic', 'LSTM (probabilistic)', {'recurrent': True}, _heads(4.9, 1.0, 6.7, 11.6)),
    Row('without_history', 'without history poses', {'history': False}, _heads(3.9, 0.9, 4.2, 8.9)),
    Row('l2', 'L2', {'probabilistic': False}, _heads(4.5, 1.1, 3.7, 9.2)),
    Row('without_speech', 'without speech (not in the paper)', {'speech': False}),
    Row('zhou_2020', 'Zhou et al. 2020 (another system)', None, _heads(4.6, 0.9, 6.1, 10.1), built=False),
    Row('full', 'full', {}, _heads(3.6, 0.8, 3.6, 8.9)),
    Row('shipped', 'the avatar as it is', None),
    Row('still', 'a still head', None),
]

# Of the three people Obama1, Obama2 and May: L1, PSNR, SSIM, LPIPS x 10, and the deviation of each.
_PAPER3 = {
    'large_without_upper_body': (
        (6.131, 1.841, 25.364, 2.259, 0.850, 0.043, 0.704, 0.407),
        (7.634, 5.105, 23.143, 2.758, 0.843, 0.102, 1.136, 1.279),
        (5.957, 1.322, 27.171, 1.820, 0.807, 0.037, 0.790, 0.260),
    ),
    'large_without_candidates': (
        (6.683, 2.507, 24.964, 2.483, 0.845, 0.048, 0.746, 0.422),
        (4.006, 0.754, 27.927, 2.228, 0.917, 0.020, 0.366, 0.111),
        (5.577, 1.246, 27.979, 1.683, 0.823, 0.033, 0.747, 0.280),
    ),
    'unet': (
        (6.540, 1.743, 25.087, 2.046, 0.832, 0.035, 0.875, 0.395),
        (4.155, 0.794, 27.414, 2.182, 0.907, 0.022, 0.479, 0.124),
        (6.007, 1.709, 27.528, 1.835, 0.806, 0.037, 1.018, 0.389),
    ),
    'normal': (
        (5.782, 1.687, 25.920, 2.229, 0.861, 0.038, 0.727, 0.346),
        (4.010, 0.763, 27.406, 2.211, 0.912, 0.021, 0.376, 0.106),
        (5.578, 1.694, 27.924, 1.882, 0.818, 0.049, 0.828, 0.449),
    ),
    'large': (
        (5.713, 1.671, 26.006, 2.275, 0.862, 0.038, 0.698, 0.348),
        (3.993, 0.732, 27.576, 2.174, 0.926, 0.020, 0.370, 0.103),
        (5.539, 1.234, 28.044, 1.782, 0.823, 0.035, 0.746, 0.209),
    ),
    'large_0.5_minutes': (
        (9.403, 3.068, 22.481, 2.166, 0.788, 0.042, 1.421, 0.533),
        (6.941, 2.015, 22.960, 2.195, 0.858, 0.030, 0.945, 0.382),
        (9.539, 2.740, 23.432, 2.087, 0.739, 0.033, 1.731, 0.582),
    ),
    'large_1_minute': (
        (8.259, 2.552, 23.939, 2.427, 0.812, 0.046, 1.233, 0.523),
        (5.285, 1.303, 24.873, 2.010, 0.888, 0.024, 0.585, 0.239),
        (7.265, 2.366, 25.875, 2.086, 0.739, 0.050, 1.175, 0.685),
    ),
}
_PAPER3['large_3_minutes'] = _PAPER3['large']  # its people's three minutes are all there is
_COLUMNS3 = [name + part for name in ('l1', 'psnr', 'ssim', 'lpips') for part in ('', '_deviation')]


def table3(base: str) -> list[Row]:
    """Table 3; ``base`` is the renderer size that input and data are varied on: 'large' in the paper."""

    def row(key: str, name: str, part: str, **changes) -> Row:
        means = np.mean(_PAPER3[key], axis=0).tolist() if key in _PAPER3 else None
        return Row(key, name, changes, dict(zip(_COLUMNS3, means, strict=True)) if means else None, part)

    rows = [row(f'{base}_without_upper_body', 'without upper body', 'input', size=base, upper_body=False)]
    if base != 'live':  # which is built on its candidate images
        rows.append(row(f'{base}_without_candidates', 'without candidates', 'input', size=base, candidates=False))
    rows += [
        row('unet', 'plain U-Net', 'architecture', size='normal', blocks=0),
        row('normal', 'normal', 'architecture', size='normal'),
        row('large', 'large', 'architecture', size='large'),
        row('live', 'live (our own)', 'architecture', size='live'),
        Row('shipped', 'the avatar as it is', None, part='architecture'),
    ]
    for minutes, name in ((0.5, '0.5 minutes'), (1.0, '1 minute'), (3.0, '3 minutes')):
        key = f'{base}_{name.replace(" ", "_")}'
        rows.append(row(key, f'{name} of footage', 'data', size=base, footage_minutes=minutes))
    return rows


def rows_of(table: str, size: str = 'large') -> list[Row]:
    """The rows of 'table1', 'table2' or 'table3', the last on a renderer size."""
    return {'table1': TABLE1, 'table2': TABLE2}.get(table) or table3(size)


@dataclass
class Evaluation:
    """What rows are measured with.

    avatar    hears, and lends all that a row does not vary
    datasets  that trainings learn from, the person's own first; the head (table 2) and the renderer (table 3) learn
              from the first alone, as the paper's did
    held_out  a recording that nothing may learn from, with phone times; None: mouths are judged by the part of the
              datasets that validates, heads by that of the first
    settings  of the trainings, by network
    backbone  file of the perceptual distance's weights; None: that column stays empty
    """

    avatar: Avatar
    datasets: list[Path]
    held_out: Path | None
    run: Path
    settings: dict[str, TrainingConfig]
    backbone: str | None = None

    @cached_property
    def person(self) -> Dataset:
        return load_dataset(self.datasets[0])

    @cached_property
    def stranger(self) -> Dataset | None:
        return load_dataset(self.held_out) if self.held_out else None

    @cached_property
    def stranger_heard(self) -> SpeechFeatures:
        return hear(self.avatar, self.stranger.read_audio())

    @cached_property
    def listener(self) -> Listener:
        """Hears as the avatar does; the manifold only where the avatar projects onto it."""
        apc = APC().eval()
        apc.load_state_dict({name: torch.tensor(value) for name, value in self.avatar.weights('apc').items()})
        speech = self.avatar.manifest.speech
        manifold = Manifold(self.avatar.manifold(), speech.neighbours) if speech.projection else None
        return Listener(apc, manifold, self.run / 'features')

    def folder(self, table: str, row: Row) -> Path:
        return self.run / table / row.key

    def wanted(self, table: str, row: Row) -> TrainingConfig | None:
        """The settings of a row's training; None where nothing is trained."""
        if row.changes is None:
            return None
        return changed(self.settings[TABLES[table]], **row.changes)

    @cached_property
    def _digests(self) -> dict[str, Callable[[], str]]:
        """What rows may be measured with, by what it is to them: its SHA-256, for whoever asks."""
        manifest, person = self.avatar.manifest, self.datasets[0]
        sections = as_mapping(manifest)
        heard = ['apc.safetensors', *(['manifold.npy'] if manifest.speech.projection else [])]
        found = {
            'person': lambda: dataset_digest(person),
            'further datasets': lambda: key_of([dataset_digest(path) for path in self.datasets[1:]]),
            'pictures': lambda: key_of([[frame, sha256_of_file(path)] for frame, path in self.person.pictures.items()]),
            'held-out recording': lambda: dataset_digest(self.held_out) if self.held_out else '',
            'hearing': lambda: key_of([sections['speech'], *(manifest.files[name] for name in heard)]),
            'face': lambda: manifest.files['face.npz'],
            'mouth settings': lambda: key_of(sections['mouth']),
            'head settings': lambda: key_of([sections['head_pose'], sections['pose_range']]),
            'head network': lambda: manifest.files['head_pose.safetensors'],
            'renderer': lambda: renderer_content(manifest),
            'backbone': lambda: backbone_digest(self.backbone),
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

    def differs(self, table: str, row: Row, known: dict) -> str:
        """In what figures that were measured before differ from what is asked for now; empty: in nothing."""
        had, wanted, data = known['settings'] or {}, _told(self.wanted(table, row)), known.get('data')
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
        folder, settings = self.folder(table, row), _told(self.wanted(table, row))
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

    def measure(self, table: str, row: Row) -> dict:
        """A row's figures, which are written down; what was trained and measured before is not done again."""
        settings, folder = self.wanted(table, row), self.folder(table, row)
        known = measured(self.run, table, row)
        if known and settings and not self.differs(table, row, known):
            return known
        if settings:
            self.begin(table, row)
        folder.mkdir(parents=True, exist_ok=True)
        figures = _MEASURES[table](self, row, settings, folder)
        made = {
            'table': table,
            'row': row.key,
            'name': row.name,
            'protocol': protocol(table),
            'figures': figures,
            'paper': row.paper,
            'trained': {key: round(value, 2) for key, value in spent(folder).items()} if settings else None,
            'settings': _told(settings) if settings else None,
            'data': self.data(table, row),
            'machine': torch.cuda.get_device_name() if torch.cuda.is_available() else processor(),
        }
        write_file(folder / FIGURES_FILE, json.dumps(made, indent=1) + '\n')
        return made

    def _mouth(self, row: Row, settings: TrainingConfig, folder: Path) -> dict:
        mean = self.avatar.face.mouth_mean
        net = MouthNet().eval()
        net.load_state_dict(train_mouth(self.datasets, folder, self.listener, settings, mean))
        figures = self._mouth_on_validation(net, settings, mean)
        if self.stranger:
            weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
            manifest = self.avatar.manifest
            heads = with_settings(self.avatar, mouth=replace(manifest.mouth, look_ahead=settings.look_ahead))
            figures['held_out'] = evaluate_mouth(
                with_networks(heads, mouth=weights), self.stranger, heard=self.stranger_heard
            )
        return figures

    def _mouth_on_validation(self, net: MouthNet, settings: TrainingConfig, mean: np.ndarray) -> dict:
        """The paper's own figure: the mean distance of the 25 points over the parts that validate."""
        loaded = [load_dataset(path) for path in self.datasets]
        data = MouthData(loaded, mean, self.listener, replace(settings, hearings=1))
        data.setup()
        state, distances = None, []
        with torch.inference_mode():
            for features, truth, known in data.val_dataloader():
                said, state = net(features, state)
                error = (said - truth).unflatten(-1, (-1, 3)).norm(dim=-1)
                distances.append(error[known].flatten())
        errors = torch.cat(distances)
        frames = len(errors) // 25
        return {
            'error_mm': float(errors.mean()) * loaded[0].metres_per_unit * 1000,
            'seconds': frames / FRAME_RATE,
        }

    @cached_property
    def clips(self) -> list[tuple[Dataset, np.ndarray, tuple[int, int]]]:
        """The recordings that heads are judged on, heard: the person's from ten seconds before that part on."""
        first, stop = judged_part(self.person, held_out=False)
        begin = max(0, first - 2 * WARM_UP)
        heard = hear(self.avatar, self.person.read_audio()[frame_start(begin) : frame_start(stop)])
        features = np.zeros((stop, FRAME_FEATURES), np.float32)
        features[begin : begin + len(heard)] = heard.values.reshape(-1, FRAME_FEATURES)[: stop - begin]
        found = [(self.person, features, (first, min(stop, begin + len(heard))))]
        if self.stranger:
            rows = self.stranger_heard.values.reshape(-1, FRAME_FEATURES)
            found.append((self.stranger, rows, judged_part(self.stranger, held_out=True)))
        return found

    def _head(self, row: Row, settings: TrainingConfig | None, folder: Path) -> dict:
        if row.key == 'still':
            return compare_heads(
                [
                    (dataset, slice(first, stop), [still_head(self.person, stop - first)])
                    for dataset, _, (first, stop) in self.clips
                ]
            )
        look_ahead, probabilistic = self.avatar.manifest.head_pose.look_ahead, True
        if settings is None:
            net = HeadPoseNet().eval()
            weights = self.avatar.weights('head_pose')
            net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        else:
            net = network(settings).eval()
            net.load_state_dict(train_head_pose(self.datasets[0], folder, self.listener, settings))
            look_ahead, probabilistic = settings.look_ahead, settings.probabilistic
        return judge_head(sampler_of(net, self.avatar, probabilistic), self.avatar, self.clips, look_ahead)

    def _picture(self, row: Row, settings: RendererTrainingConfig | None, folder: Path) -> dict:
        if settings is None:
            return evaluate_renderer(self.avatar, self.person, load_backbone(self.backbone) if self.backbone else None)
        weights = train_renderer(self.datasets[0], folder, settings)
        candidates = np.load(folder / 'candidates.npy', allow_pickle=False)
        module = RendererTraining.finished(settings, candidates, weights)
        backbone = load_backbone(self.backbone).to(module.device) if self.backbone else None

        def render(feature_map: np.ndarray) -> np.ndarray:
            return (module.levels(feature_map) + SIZES[settings.size].rounding).clip(0, 255).astype(np.uint8)

        figures = compare_pictures(
            render, candidates, self.person, backbone, SIZES[settings.size].subpixel, settings.upper_body
        )
        count = sum(parameter.numel() for parameter in module.generator.parameters())
        return {**figures, 'parameters': count}


_MEASURES: dict[str, Callable] = {
    'table1': Evaluation._mouth,
    'table2': Evaluation._head,
    'table3': Evaluation._picture,
}


def dataset_digest(folder: Path) -> str:
    """SHA-256 of a dataset but for its pictures."""
    files = [folder / name for name in ('dataset.yaml', 'tracks.npz', 'audio.wav', 'phones.json')]
    return key_of([sha256_of_file(file) for file in files if file.is_file()])


def backbone_digest(backbone: str | None) -> str:
    """SHA-256 of a backbone's file; its name where it is fetched."""
    return sha256_of_file(Path(backbone)) if backbone and Path(backbone).is_file() else backbone or ''


def _told(settings: TrainingConfig | None) -> dict:
    """Settings as JSON keeps them."""
    return json.loads(json.dumps(asdict(settings))) if settings else {}


def measured(run: Path, table: str, row: Row) -> dict | None:
    """The figures of a row that was measured in this run folder before."""
    file = run / table / row.key / FIGURES_FILE
    return json.loads(file.read_text()) if file.is_file() else None


def protocol(table: str) -> str:
    """How the rows of a table are measured."""
    return {
        'table1': (
            'One mouth network for each look-ahead, trained alike from the start on the same recordings; the last '
            'fifth of each validates. Validation error: mean distance of the 25 mouth points from the truth over '
            'these parts, as in the paper; the same parts chose the checkpoint that was kept, so it is a little kind. '
            'Held-out voice: the same network in the avatar, heard and moved by the live stages, on a voice and '
            'sentences that nothing was trained on; error in speech, and the share of P, B and M whose lip opening '
            'falls below 1 % of the largest true one within the phone and 50 ms on either side.'
        ),
        'table2': (
            "Each variant is trained alike from the start on the person's own recording, its last fifth excepted, and "
            'judged on that fifth, which also chose the checkpoint that was kept, and on the held-out recording, if '
            'there is one; the head begins up to five seconds before, at rest. D-L and D-V: mean distance of the 73 '
            "landmarks and of their change per frame in percent of the face's width; D-Rot: angle between the two "
            "heads; D-Pos: distance of the translations in percent of the face's width (Zhou et al. 2020). Mean over "
            'all frames and 8 draws. What is probabilistic is sampled and everything is smoothed as the avatar is. The '
            "still head rests at the person's mean. The slow motion that the avatar adds from its footage is left out. "
            'Turns by: standard deviation of the rotation about x, y and z.'
        ),
        'table3': (
            'Renderers trained alike from the start and judged on the pictures of the excerpt that nothing was trained '
            'on, drawn from the true landmarks, head poses and shoulders. Those pictures, or some of them '
            '(`validation_pictures`), also chose the checkpoint that was kept, so the figures are a little kind. L1 in '
            'grey levels of 255, PSNR in dB, SSIM over whole pictures; perceptual: the sum over five slices of a '
            'network of the mean absolute difference of features (for SqueezeNet as a share of the mean feature), '
            "which is not LPIPS. Mean and standard deviation over the pictures. The paper's columns are means of its "
            'three people, deviations included.'
        ),
    }[table]
