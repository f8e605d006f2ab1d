"""The renderer in 8 bits, by calibration on the person's own feature maps (post-training quantisation).

The maps come from the avatar itself: its own stages hear the bundled speech while its head is sent over all poses
that it was trained on, and is held at the ends of that range. So no dataset is needed, and an imported avatar can be
quantised too. NNCF does it; only whoever makes such a renderer needs it (``pip install .[train]``, or ``.[quantize]``
alone).
"""

import contextlib
import importlib.util
import itertools
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lsp_ros.avatar.landmarks import lip_gap
from lsp_ros.avatar.load import Avatar, Int8Renderer
from lsp_ros.avatar.save import add_int8_renderer
from lsp_ros.geometry import pose_to_rep103
from lsp_ros.media.sound import read_audio
from lsp_ros.motion.stage import MotionStage
from lsp_ros.picture_metrics import psnr
from lsp_ros.rendering.engines.engine import Engine, EngineError
from lsp_ros.rendering.engines.factory import build_engine
from lsp_ros.rendering.engines.openvino import LEAST_PSNR, OpenVinoEngine
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.resources import find_sample
from lsp_ros.signals import FaceMotion, HeadPoseCommand, PoseMode
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import FRAME_RATE

if TYPE_CHECKING:
    import openvino

CALIBRATION_MAPS, TRIAL_MAPS = 120, 40  # of speech
CALIBRATION_POSES = 60  # of the farthest poses; all corners of the range are tried
POSE_FRAMES = 45  # a new head pose so often; every other one is the avatar's own
MOST_PSNR = float(10 * np.log10(255**2 / 1e-4))  # dB that two pictures can be alike
MARGIN = 16  # pixels around what float32 draws in any of the maps, in which 8 bits may draw as well


@dataclass(frozen=True)
class Quantised:
    """What came out: the graph, and how far each trial picture is from float32 in dB."""

    renderer: Int8Renderer
    psnr: np.ndarray
    quickest: str = ''
    """The precision that ``auto`` takes on this machine; empty where that was not measured."""

    def __str__(self) -> str:
        size = (len(self.renderer.graph) + len(self.renderer.numbers)) / 1e6
        said = (
            f'renderer in 8 bits, {size:.1f} MB; {self.psnr.mean():.1f} dB from float32 (least '
            f'{self.psnr.min():.1f}) on {len(self.psnr)} feature maps that it was not calibrated on'
        )
        if self.psnr.mean() < LEAST_PSNR:
            said += f"; the engine's 'auto' wants {LEAST_PSNR:g} dB and will not use it"
        elif self.quickest and self.quickest != 'int8':
            said += f"; on this machine {self.quickest} is quicker, and the engine's 'auto' takes that"
        return said


def quantize_avatar(folder: str | os.PathLike[str], step: Callable[[str], None] = lambda _: None) -> Quantised:
    """Makes the renderer in 8 bits of an avatar and puts it into its folder. ``step`` is told what begins.

    Then measures which precision is the quickest here, for the next start on this machine.

    Raises AvatarError for an avatar that cannot be used, EngineError without NNCF.
    """
    check_nncf()
    avatar = Avatar.load(Path(folder))
    step('the avatar moves')
    spoken, others = (moving(avatar, seed) for seed in (1, 2))
    ends = at_the_ends(avatar, spoken)
    corners = at_the_ends(avatar, spoken, corners=True)
    some = np.random.default_rng(1).choice(len(ends), CALIBRATION_POSES, replace=False)
    stage = RenderStage(avatar, engine=None, mark=False)
    calibration = [*spread(stage, spoken, CALIBRATION_MAPS), *(stage.feature_maps(ends[i : i + 1])[0] for i in some)]
    trial = [*spread(stage, others, TRIAL_MAPS), *stage.feature_maps(corners)]
    shown = (stage.feature_maps(ends[i : i + 1])[0] for i in range(len(ends)))
    made = quantize(
        avatar.weights('renderer'),
        avatar.manifest.renderer.size,
        avatar.candidates(),
        calibration,
        trial,
        itertools.chain(trial, shown),
        step,
    )
    add_int8_renderer(folder, made.renderer.graph, made.renderer.numbers, made.psnr.mean(), made.psnr.min())
    step('the precisions are measured')
    engine = build_engine(
        'openvino',
        avatar.weights('renderer'),
        avatar.manifest.renderer.size,
        avatar.candidates(),
        int8=made.renderer,
        measure=True,
    )
    assert isinstance(engine, OpenVinoEngine)
    return replace(made, quickest=engine.precision)


def quantize_new_avatar(folder: Path, tell: Callable[[str], None] = print) -> None:
    """Puts the renderer in 8 bits into a finished avatar, as ``lsp quantize`` does, so that it is quick at once.

    Where that cannot be done, as without NNCF, ``tell`` hears why in a sentence, and the avatar works without.
    """
    from rich.console import Console

    try:
        with Console(stderr=True).status('quantising the renderer') as status:
            tell(f'{folder}: {quantize_avatar(folder, status.update)}')
    except EngineError as error:
        tell(
            f'{folder} works, but without a renderer in 8 bits it is slower on a CPU: {error}; '
            f'`lsp quantize {folder}` makes one.'
        )


def check_nncf() -> None:
    if importlib.util.find_spec('nncf') is None:
        raise EngineError(
            'a renderer is quantised with the Python package nncf, which is not installed '
            "(pip install 'lsp_ros[quantize]')"
        )


def feature_maps(avatar: Avatar, count: int, seed: int) -> list[np.ndarray]:
    """(512, 512) uint8 maps spread over the bundled speech, with head poses from all of the trained range."""
    return spread(RenderStage(avatar, engine=None, mark=False), moving(avatar, seed), count)


def moving(avatar: Avatar, seed: int) -> FaceMotion:
    """The avatar speaks, and its head is sent to poses drawn from its trained range."""
    samples = read_audio(find_sample())
    speech, motion = SpeechStage(avatar), MotionStage(avatar, seed=seed)
    heard = [block for block in (speech.push(samples), speech.flush()) if block is not None]
    frames = sum(len(block) for block in heard)
    poses, ranges = np.random.default_rng(seed), avatar.pose_range
    for frame in range(0, frames, 2 * POSE_FRAMES):
        euler = poses.uniform(ranges.euler_min, ranges.euler_max)
        translation = poses.uniform(ranges.translation_min, ranges.translation_max)
        pose = pose_to_rep103(euler, translation, avatar.camera.metres_per_unit)
        command = HeadPoseCommand(PoseMode.ABSOLUTE, *pose, transition=0.4, timeout=POSE_FRAMES / FRAME_RATE)
        motion.command(command, frame)
    return FaceMotion.whole([*(motion.push(block) for block in heard), motion.flush()])


def spread(stage: RenderStage, motion: FaceMotion, count: int) -> list[np.ndarray]:
    """That many feature maps, evenly over a motion."""
    chosen = np.linspace(0, len(motion) - 1, count).round().astype(int)
    return [stage.feature_maps(motion[frame : frame + 1])[0] for frame in chosen]


def at_the_ends(avatar: Avatar, motion: FaceMotion, corners: bool = False) -> FaceMotion:
    """The head where its trained range, a box of three angles and three lengths, ends: in its corners, amid its edges
    and amid its faces, each with the mouth of a motion at its closest and its widest.

    ``corners`` leaves out edges and faces: 128 frames instead of 536.
    """
    ranges, face = avatar.pose_range, avatar.face
    low = np.concatenate([ranges.euler_min, ranges.translation_min])
    high = np.concatenate([ranges.euler_max, ranges.translation_max])
    places = np.array(list(itertools.product((0, 0.5, 1), repeat=len(low))))
    amid = (places == 0.5).sum(axis=1)
    places = places[np.isin(amid, 0 if corners else (0, 1, len(low) - 1))]
    poses = (low + places * (high - low)).astype(np.float32)
    gap = lip_gap(motion.points)
    mouths = motion.points[[gap.argmin(), gap.argmax()]]
    translation = poses[:, 3:] + face.translation_mean
    moved = avatar.manifest.upper_body.amplitude * (translation - face.shoulder_translation)
    count = len(poses) * len(mouths)
    return FaceMotion(
        0,
        points=np.tile(mouths, (len(poses), 1, 1)),
        euler=poses[:, :3].repeat(len(mouths), axis=0),
        translation=translation.repeat(len(mouths), axis=0),
        shoulders=(face.shoulders + moved[:, None]).astype(np.float32).repeat(len(mouths), axis=0),
        speaking=np.zeros(count, bool), source=np.zeros(count, np.uint8), clamped=np.zeros(count, bool),
    )  # fmt: skip


def quantize(
    weights: dict[str, np.ndarray],
    size: str,
    candidates: np.ndarray,
    calibration: Sequence[np.ndarray],
    trial: Sequence[np.ndarray],
    shown: Iterable[np.ndarray] = (),
    step: Callable[[str], None] = lambda _: None,
) -> Quantised:
    """The renderer in 8 bits, calibrated on some feature maps and compared with float32 on others.

    shown  maps that tell, with those of the calibration, which pixels of a live renderer ever change: the others are
           left as they are
    """
    check_nncf()
    from lsp_ros.openvino_import import without_reports

    with without_reports():
        import nncf

    from lsp_ros.rendering.engines.openvino import convert

    step('float32 draws')
    reference = build_engine('openvino', weights, size, candidates, precision='f32')
    reach = None
    if size == 'live':
        reach = _reach(reference, itertools.chain(calibration, shown), weights, size, candidates)
    model = convert(weights, size, candidates, reach)
    step('calibrating')
    with _errors_only('nncf'):
        quantised = nncf.quantize(
            model,
            nncf.Dataset([feature_map[None] for feature_map in calibration]),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(calibration),
            # Sums stay in float32: in 8 bits they cost a few dB and are no quicker, as they are part of a convolution.
            ignored_scope=nncf.IgnoredScope(
                names=_after_last_convolution(model), types=['Add', 'Interpolate'], validate=False
            ),
            # Corrected biases were worse: the means that they restore are of maps that have hardly anything in common.
            advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
        )
    graph, numbers = _bytes(quantised)
    step('8 bits draws')
    engine = build_engine(
        'openvino', weights, size, candidates, precision='int8', int8=Int8Renderer(graph, numbers, 0.0)
    )
    psnr = np.array([_finite_psnr(reference.render(each), engine.render(each)) for each in trial])
    return Quantised(Int8Renderer(graph, numbers, float(psnr.mean())), psnr)


@contextlib.contextmanager
def _errors_only(logger: str) -> Iterator[None]:
    """Keeps a library's chatter back. Of its logger alone: its handlers may be other people's."""
    chatter, before = logging.getLogger(logger), logging.getLogger(logger).level
    chatter.setLevel(logging.ERROR)
    try:
        yield
    finally:
        chatter.setLevel(before)


def _reach(
    engine: Engine, maps: Iterable[np.ndarray], weights: dict[str, np.ndarray], size: str, candidates: np.ndarray
) -> np.ndarray:
    """(512, 512) bool: where any picture differs from the base picture by more than rounding, and a margin around."""
    from lsp_ros.rendering.engines.baked import scale_candidates
    from lsp_ros.rendering.generator import LiveGenerator, load_generator

    generator = load_generator(size, weights)
    assert isinstance(generator, LiveGenerator)  # no other has a base picture
    picture = generator.prepare(scale_candidates(candidates)).base.detach()
    base = (picture[0].permute(1, 2, 0).numpy() + 1) * 127.5
    drawn = np.zeros(base.shape[:2], bool)
    for each in maps:
        drawn |= (np.abs(engine.render(each) - base) > 1.5).any(axis=-1)
    return cv2.dilate(drawn.astype(np.uint8), np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)) > 0


def _after_last_convolution(model: 'openvino.Model') -> list[str]:
    """The names of all that makes pixels of the last convolution's output: they are cheap, and shown."""
    last = [each for each in model.get_ordered_ops() if each.get_type_name().startswith('Convolution')][-1]
    found, todo = [], [last]
    while todo:
        for output in todo.pop().outputs():
            for reader in output.get_target_inputs():
                node = reader.get_node()
                if node.get_friendly_name() not in found and node.get_type_name() != 'Result':
                    found.append(node.get_friendly_name())
                    todo.append(node)
    return found


def _bytes(model: 'openvino.Model') -> tuple[bytes, bytes]:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'model.xml'
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix('.bin').read_bytes()


def _finite_psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB of which a mean can be taken: equal pictures count as ``MOST_PSNR``."""
    return min(psnr(picture, truth), MOST_PSNR)
