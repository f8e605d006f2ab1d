"""Training of the renderer: crops, losses that begin late, resuming, and what is kept."""

from dataclasses import replace

import cv2
import lightning
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from synthetic_dataset import write_synthetic
from torch.utils.data import DataLoader, TensorDataset

from lsp_ros.rendering.generator import LiveGenerator
from lsp_ros.training.dataset import DatasetError, load_dataset
from lsp_ros.training.discriminator import JUDGED_CHANNELS, Discriminator
from lsp_ros.training.perceptual import (
    SQUEEZENET_FIRES,
    VGG19,
    VGG19_LAYERS,
    SqueezeNet,
    load_backbone,
    perceptual_distance,
)
from lsp_ros.training.pictures import Pictures, read_candidates, read_picture
from lsp_ros.training.renderer import PictureData, train_renderer
from lsp_ros.training.renderer_module import RendererTraining, RendererTrainingConfig
from lsp_ros.training.trainer import fit

pytestmark = pytest.mark.slow

SIDE = 64


def squeezenet_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {'conv1_w': rng.normal(0, 0.01, (96, 3, 7, 7)), 'conv1_b': np.zeros(96)}
    for index, (channels, squeeze, expand) in SQUEEZENET_FIRES.items():
        for name, shape in (
            ('conv1x1_1', (squeeze, channels, 1, 1)),
            ('conv1x1_2', (expand, squeeze, 1, 1)),
            ('conv3x3_2', (expand, squeeze, 3, 3)),
        ):
            arrays[f'fire{index}__{name}_w'] = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
            arrays[f'fire{index}__{name}_b'] = np.zeros(shape[0])
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def module(**changes) -> RendererTraining:
    config = RendererTrainingConfig(
        size='live', batch=2, crop=32, discriminator_width=4, backbone=None, epochs=2, lr=1e-3, accelerator='cpu'
    )
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    candidates = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    training = RendererTraining(config, candidates, None)
    training.generator = LiveGenerator((8, 8, 8, 8), (1, 1, 1))
    return training


class Data(lightning.LightningDataModule):
    """Four pictures whose brightness follows their feature map."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(1)
        maps = torch.from_numpy(rng.integers(0, 2, (4, 1, SIDE, SIDE)) * 255).to(torch.uint8)
        pictures = (maps // 2).expand(-1, 3, -1, -1).contiguous()
        landmarks = torch.from_numpy(rng.uniform(0, SIDE, (4, 73, 2)).astype(np.float32))
        self.pictures = TensorDataset(maps, pictures, landmarks)

    def train_dataloader(self):
        return DataLoader(self.pictures, 2)

    val_dataloader = train_dataloader


def train(folder, epochs: int, **changes) -> dict[str, torch.Tensor]:
    training = module(epochs=epochs, **changes)
    fit(training, Data(), folder, training.config)
    return {name: value.clone() for name, value in training.state_dict().items()}


def colour_loss(training: RendererTraining) -> float:
    maps, pictures, _ = Data().pictures[:]
    with torch.no_grad():
        loss = float((training.eval()(maps / 255) - (pictures / 127.5 - 1)).abs().mean())
    training.train()
    return loss


def test_a_renderer_begins_with_the_weights_of_another(tmp_path):
    torch.manual_seed(1)
    other = LiveGenerator((8, 8, 8, 8), (1, 1, 1))
    torch.nn.init.normal_(other.head.weight, std=0.1)  # as new, it draws nothing
    file = tmp_path / 'renderer_live.safetensors'
    save_file({name: value.half() for name, value in other.state_dict().items()}, file)
    candidates = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    config = RendererTrainingConfig(size='live', discriminator_width=4, backbone=None, start=str(file))
    begun = RendererTraining(config, candidates, None)
    assert all(part.training for part in begun.modules())
    begun, lines = begun.eval(), torch.rand(1, 1, SIDE, SIDE)
    with torch.inference_mode():
        expected = other.eval()(lines, other.prepare(begun.candidates))
        assert (expected - begun(lines)).abs().max() < 0.02  # half precision
        assert (expected - other.prepare(begun.candidates).base).abs().max() > 0.1

    save_file({'conv.weight': torch.zeros(3)}, file)
    with pytest.raises(ValueError, match="not those of a 'live' renderer"):
        RendererTraining(config, candidates, None)
    file.write_bytes(b'no weights')
    with pytest.raises(ValueError, match='cannot be read as renderer weights'):
        RendererTraining(config, candidates, None)


def test_training_lowers_the_colour_loss(tmp_path):
    training = module(epochs=40, gan_start=2.0, lr=1e-2)
    before = colour_loss(training)
    fit(training, Data(), tmp_path, training.config)
    assert colour_loss(training) < 0.75 * before


def test_the_judge_learns_only_after_the_warm_up(tmp_path):
    for gan_start, learns in ((2.0, False), (0.0, True)):
        training = module(epochs=1, gan_start=gan_start)
        before = training.discriminator.scales[0].layers[0][0].weight.clone()
        fit(training, Data(), tmp_path / str(gan_start), training.config)
        assert torch.equal(before, training.discriminator.scales[0].layers[0][0].weight) != learns


def test_a_resumed_training_gives_what_an_uninterrupted_one_gives(tmp_path):
    whole = train(tmp_path / 'whole', 2, gan_start=0.0, lr_end=1e-3)
    train(tmp_path / 'parts', 1, gan_start=0.0, lr_end=1e-3)
    resumed = train(tmp_path / 'parts', 2, gan_start=0.0, lr_end=1e-3)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, msg=lambda text, name=name: f'{name}: {text}')


def test_a_teacher_draws_the_moments_that_have_no_picture(tmp_path):
    folder = write_synthetic(tmp_path / 'data', pictures=8)
    config = RendererTrainingConfig(
        size='normal',
        width=2,
        batch=2,
        backbone=None,
        discriminator_width=2,
        epochs=1,
        gan_start=2.0,
        accelerator='cpu',
    )
    train_renderer(folder, tmp_path / 'teacher', config)
    pupil = replace(config, size='live', teacher=str(tmp_path / 'teacher'), teacher_pictures=4, teacher_share=0.25)
    dataset = load_dataset(folder)
    data = PictureData(dataset, pupil, tmp_path)
    data.setup()
    taught, true = data.train.datasets[0], data.train.datasets[1]
    assert len(taught) == 4
    assert not set(taught.frames) & set(dataset.pictures)
    assert dataset.training_mask[taught.frames].all()
    assert len(data.train.datasets) - 1 == max(1, round(3 * 4 / len(true)))
    (kept,) = tmp_path.glob('taught_*.npy')
    lesson = np.load(kept)
    assert lesson.std() > 1
    np.testing.assert_array_equal(taught[2][1].permute(1, 2, 0).numpy(), lesson[2])
    changed = kept.stat().st_mtime_ns
    PictureData(dataset, pupil, tmp_path).setup()
    assert kept.stat().st_mtime_ns == changed  # drawn once


def test_a_crop_follows_the_face_and_stays_inside():
    training = module(face_share=1.0)
    landmarks = torch.zeros(3, 73, 2)
    landmarks[1] = torch.tensor([40.0, 30.0])  # x, y
    landmarks[2] = 1000.0
    assert training._corners(landmarks, 0) == [(0, 0), (14, 24), (SIDE - 32, SIDE - 32)]
    ramp = torch.arange(SIDE * SIDE, dtype=torch.float32).view(1, 1, SIDE, SIDE)
    crop = training._look(ramp.expand(3, -1, -1, -1), training._corners(landmarks, 0))
    assert crop.shape == (3, 1, 32, 32)
    assert crop[1, 0, 0, 0] == 14 * SIDE + 24


def test_crops_depend_on_seed_and_batch_alone():
    landmarks = torch.rand(4, 73, 2) * SIDE
    first = module(face_share=0.5)._corners(landmarks, 3)
    assert module(face_share=0.5)._corners(landmarks, 3) == first
    assert module(face_share=0.5)._corners(landmarks, 4) != first


def test_whole_pictures_are_judged_without_a_crop(tmp_path):
    train(tmp_path, 1, crop=None, gan_start=0.0)
    assert (tmp_path / 'best.ckpt').exists()


def test_the_discriminator_has_the_release_layout():
    judge = Discriminator()
    # Weights and biases of 4x4 convolutions 16-64-128-256-512-1 and batch normalisation of the middle three.
    widths = [JUDGED_CHANNELS, 64, 128, 256, 512, 1]
    convolutions = sum(16 * a * b + b for a, b in zip(widths, widths[1:]))
    assert sum(p.numel() for p in judge.parameters()) == 2 * (convolutions + 2 * (128 + 256 + 512))
    full, half = judge(torch.zeros(1, JUDGED_CHANNELS, 64, 64))
    assert [f.shape[-1] for f in full] == [33, 17, 9, 10, 11]
    assert half[0].shape[-1] == 17


def test_perceptual_distance_is_zero_for_equal_pictures_and_grows(tmp_path):
    np.savez(tmp_path / 'small.npz', **squeezenet_arrays())
    backbone = load_backbone(tmp_path / 'small.npz')
    assert backbone.name == 'squeezenet1.0'
    assert not any(p.requires_grad for p in backbone.parameters())
    truth = torch.rand(1, 3, 64, 64) * 2 - 1
    near, far = truth + 0.01, truth.flip(-1)
    assert perceptual_distance(backbone, truth, truth) == 0
    assert 0 < perceptual_distance(backbone, near, truth) < perceptual_distance(backbone, far, truth)


def test_squeezenet_slices_have_the_expected_sizes():
    slices = SqueezeNet(squeezenet_arrays())(torch.zeros(1, 3, 128, 128))
    assert [tuple(s.shape[1:]) for s in slices] == [
        (96, 61, 61),
        (256, 30, 30),
        (384, 15, 15),
        (512, 15, 15),
        (512, 7, 7),
    ]


def test_vgg19_takes_torchvisions_names_and_gives_the_papers_layers(tmp_path):
    weights, channels, index = {}, 3, 0
    for width in VGG19_LAYERS:
        if width == 'M':
            index += 1
            continue
        weights[f'features.{index}.weight'] = torch.randn(width, channels, 3, 3) / (9 * channels) ** 0.5
        weights[f'features.{index}.bias'] = torch.zeros(width)
        channels, index = width, index + 2
    assert max(int(name.split('.')[1]) for name in weights) == 28  # conv5_1
    torch.save({**weights, 'classifier.0.bias': torch.zeros(1)}, tmp_path / 'vgg19.pth')
    backbone = load_backbone(tmp_path / 'vgg19.pth')
    assert isinstance(backbone, VGG19)
    slices = backbone(torch.zeros(1, 3, 64, 64))
    assert [s.shape[1] for s in slices] == [64, 128, 256, 512, 512]
    assert [s.shape[2] for s in slices] == [64, 32, 16, 8, 4]
    with pytest.raises(ValueError, match='VGG19 weights lack'):
        VGG19({})


def test_an_absent_backbone_is_named(tmp_path):
    with pytest.raises(ValueError, match=r'absent\.npz: no such file'):
        load_backbone(tmp_path / 'absent.npz')


def test_pictures_come_with_the_map_of_their_own_landmarks(tmp_path):
    dataset = load_dataset(write_synthetic(tmp_path / 'nobody', pictures=12))
    pictures = Pictures(dataset, dataset.training_pictures())
    feature_map, picture, landmarks = pictures[3]
    assert feature_map.shape == (1, 512, 512)
    assert set(feature_map.unique().tolist()) == {0, 255}
    x, y = landmarks[3].int().tolist()
    assert feature_map[0, y, x] == 255
    frame = dataset.training_pictures()[3]
    expected = cv2.cvtColor(cv2.imread(str(dataset.pictures[frame])), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(picture.permute(1, 2, 0).numpy(), expected)
    assert read_candidates(dataset).shape == (4, 512, 512, 3)


def test_a_picture_of_another_size_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / 'small.png'), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(DatasetError, match=r'small\.png: 20x10'):
        read_picture(tmp_path / 'small.png')
