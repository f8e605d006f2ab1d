"""What the rows of the paper's tables are measured with, and how: each is trained where something is to be trained."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation.head_protocols import WARM_UP, compare_heads, judged_part, still_head
from lsp_ros.evaluation.head_variants import judge_head, sampler_of
from lsp_ros.evaluation.mouth_protocols import evaluate_mouth
from lsp_ros.evaluation.paper_tables import Row
from lsp_ros.evaluation.picture_protocols import compare_pictures, evaluate_renderer
from lsp_ros.evaluation.playback import hear, with_networks, with_settings
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.signals import SpeechFeatures
from lsp_ros.speech.apc import APC
from lsp_ros.speech.manifold import Manifold
from lsp_ros.timeline import FRAME_RATE, frame_start
from lsp_ros.training.dataset import Dataset, load_dataset
from lsp_ros.training.features import FRAME_FEATURES, Listener
from lsp_ros.training.head_pose import HeadPoseTrainingConfig, network, train_head_pose
from lsp_ros.training.mouth import MouthData, MouthTrainingConfig, train_mouth
from lsp_ros.training.perceptual import load_backbone
from lsp_ros.training.renderer import train_renderer
from lsp_ros.training.renderer_module import RendererTraining, RendererTrainingConfig


@dataclass
class Materials:
    """What rows are measured with.

    avatar    hears, and lends all that a row does not vary
    datasets  that trainings learn from, the person's own first; the head (table 2) and the renderer (table 3) learn
              from the first alone, as the paper's did
    held_out  a recording that nothing may learn from, with phone times; None: mouths are judged by the part of the
              datasets that validates, heads by that of the first
    run       folder of the rows' trainings and figures
    backbone  file of the perceptual distance's weights; None: that column stays empty
    """

    avatar: Avatar
    datasets: list[Path]
    held_out: Path | None
    run: Path
    backbone: str | None = None

    @cached_property
    def person(self) -> Dataset:
        return load_dataset(self.datasets[0])

    @cached_property
    def held_out_speaker(self) -> Dataset | None:
        return load_dataset(self.held_out) if self.held_out else None

    @cached_property
    def held_out_speech(self) -> SpeechFeatures:
        assert self.held_out_speaker is not None  # nobody asks without
        return hear(self.avatar, self.held_out_speaker.read_audio())

    @cached_property
    def listener(self) -> Listener:
        """Hears as the avatar does; the manifold only where the avatar projects onto it."""
        apc = APC().eval()
        apc.load_state_dict({name: torch.tensor(value) for name, value in self.avatar.weights('apc').items()})
        speech = self.avatar.manifest.speech
        manifold = Manifold(self.avatar.manifold(), speech.neighbours) if speech.projection else None
        return Listener(apc, manifold, self.run / 'features')

    @cached_property
    def clips(self) -> list[tuple[Dataset, np.ndarray, tuple[int, int]]]:
        """The recordings that heads are judged on, heard: the person's from ten seconds before that part on."""
        first, stop = judged_part(self.person, held_out=False)
        begin = max(0, first - 2 * WARM_UP)
        heard = hear(self.avatar, self.person.read_audio()[frame_start(begin) : frame_start(stop)])
        features = np.zeros((stop, FRAME_FEATURES), np.float32)
        features[begin : begin + len(heard)] = heard.values.reshape(-1, FRAME_FEATURES)[: stop - begin]
        found = [(self.person, features, (first, min(stop, begin + len(heard))))]
        if self.held_out_speaker:
            rows = self.held_out_speech.values.reshape(-1, FRAME_FEATURES)
            found.append((self.held_out_speaker, rows, judged_part(self.held_out_speaker, held_out=True)))
        return found


def mouth_figures(materials: Materials, row: Row, config: MouthTrainingConfig, folder: Path) -> dict[str, Any]:
    """A row of table 1: the mouth, trained in ``folder``."""
    mean = materials.avatar.face.mouth_mean
    net = MouthNet().eval()
    net.load_state_dict(train_mouth(materials.datasets, folder, materials.listener, config, mean))
    figures: dict[str, Any] = {**mouth_on_validation(materials, net, config)}
    if materials.held_out_speaker:
        weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
        manifest = materials.avatar.manifest
        heads = with_settings(materials.avatar, mouth=replace(manifest.mouth, look_ahead=config.look_ahead))
        figures['held_out'] = evaluate_mouth(
            with_networks(heads, mouth=weights), materials.held_out_speaker, heard=materials.held_out_speech
        )
    return figures


def mouth_on_validation(materials: Materials, net: MouthNet, config: MouthTrainingConfig) -> dict[str, float]:
    """The paper's own figure: the mean distance of the 25 points over the parts that validate."""
    loaded = [load_dataset(path) for path in materials.datasets]
    data = MouthData(loaded, materials.avatar.face.mouth_mean, materials.listener, replace(config, hearings=1))
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


def head_figures(materials: Materials, row: Row, config: HeadPoseTrainingConfig | None, folder: Path) -> dict[str, Any]:
    """A row of table 2: a head that is trained in ``folder``, the avatar's own, or a still one."""
    if row.key == 'still':
        return compare_heads(
            [
                (dataset, slice(first, stop), [still_head(materials.person, stop - first)])
                for dataset, _, (first, stop) in materials.clips
            ]
        )
    look_ahead, probabilistic = materials.avatar.manifest.head_pose.look_ahead, True
    if config is None:
        net = HeadPoseNet().eval()
        weights = materials.avatar.weights('head_pose')
        net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    else:
        net = network(config).eval()
        net.load_state_dict(train_head_pose(materials.datasets[0], folder, materials.listener, config))
        look_ahead, probabilistic = config.look_ahead, config.probabilistic
    return judge_head(sampler_of(net, materials.avatar, probabilistic), materials.avatar, materials.clips, look_ahead)


def picture_figures(
    materials: Materials, row: Row, config: RendererTrainingConfig | None, folder: Path
) -> dict[str, Any]:
    """A row of table 3: a renderer that is trained in ``folder``, or the avatar's own."""
    if config is None:
        return evaluate_renderer(
            materials.avatar, materials.person, load_backbone(materials.backbone) if materials.backbone else None
        )
    weights = train_renderer(materials.datasets[0], folder, config)
    candidates = np.load(folder / 'candidates.npy', allow_pickle=False)
    module = RendererTraining.finished(config, candidates, weights)
    backbone = load_backbone(materials.backbone).to(module.device) if materials.backbone else None

    def render(feature_map: np.ndarray) -> np.ndarray:
        return (module.levels(feature_map) + RENDERER_SIZES[config.size].rounding).clip(0, 255).astype(np.uint8)

    figures = compare_pictures(
        render, candidates, materials.person, backbone, RENDERER_SIZES[config.size].subpixel, config.upper_body
    )
    count = sum(parameter.numel() for parameter in module.generator.parameters())
    return {**figures, 'parameters': count}


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    'table1': mouth_figures,
    'table2': head_figures,
    'table3': picture_figures,
}
"""What measures a row of each table, given (materials, row, configuration or None, folder)."""
