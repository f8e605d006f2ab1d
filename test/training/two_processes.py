"""Trains a little of every network in two processes, as on two GPUs: python two_processes.py FOLDER (test_devices.py).

Lightning starts the second process as this one was started. Each leaves in FOLDER what it was given and what it has in
the end: NETWORK_RANK.npz.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from test_renderer import Data, module

from lsp_ros.speech.apc import APC
from lsp_ros.training.apc import APCData, APCTraining, APCTrainingConfig
from lsp_ros.training.dataset import load_dataset
from lsp_ros.training.features import Listener
from lsp_ros.training.head_pose import HeadPoseData, HeadPoseTraining, HeadPoseTrainingConfig
from lsp_ros.training.mouth import MouthData, MouthTraining, MouthTrainingConfig
from lsp_ros.training.trainer import Batches, fit, place, seed


class HalfTheData(Data):
    def train_dataloader(self):
        device, devices = place(self)
        return Batches(torch.utils.data.Subset(self.pictures, range(device, 4, devices)), 1)


def train(network: str, out: Path, training, data) -> None:
    config, step, given = training.config, training.training_step, []

    def remember(batch, batch_idx):
        first = batch if isinstance(batch, torch.Tensor) else batch[0]
        given.append(first.flatten(2)[..., :8].numpy().copy())
        return step(batch, batch_idx)

    training.training_step = remember
    fit(training, data, out / network, config, reload_data=True)
    digest = hashlib.sha256()
    for value in training.parameters():
        digest.update(value.detach().numpy().tobytes())
    np.savez(
        out / f'{network}_{training.global_rank}.npz',
        given=given,
        weights=digest.hexdigest(),
        val_loss=training.trainer.callback_metrics['val_loss'].item(),
        stream=next(
            (getattr(data.train, name)[..., :8] for name in ('mel', 'features') if hasattr(data.train, name)),
            torch.zeros(0),
        ).numpy(),
    )


def main(out: Path) -> None:
    config = {'epochs': 1, 'devices': 2, 'accelerator': 'cpu'}
    training = module(epochs=2, gan_start=0.5, devices=2)
    data = HalfTheData()
    data.train = None
    train('renderer', out, training, data)
    seed(training.config)

    common = {**config, 'batch': 2, 'validation_share': 0.3}
    apc = APCTrainingConfig(segment=30, **common)
    train('apc', out, APCTraining(apc), APCData([out / 'corpus'], out / 'mel', apc))

    dataset = load_dataset(out / 'nobody')
    listener = Listener(APC().eval(), None, out / 'features')
    mouth = MouthTrainingConfig(sequence=60, batch=2, hearings=1, **config)
    train('mouth', out, MouthTraining(mouth), MouthData([dataset], dataset.mean_points(), listener, mouth))
    head = HeadPoseTrainingConfig(sequence=20, batch=2, windows=8, hearings=1, **config)
    train('head_pose', out, HeadPoseTraining(head), HeadPoseData([dataset], listener, head))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
