"""What every training shares: the learning rate follows the budget, runs go on where they stopped."""

import csv
import time

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from lsp_ros.training.trainer import Batches, CarriesState, LinearDecay, TrainingConfig, checkpoint_weights, fit, spent


class Line(lightning.LightningModule):
    """y = w x, with the learning rates that it met."""

    def __init__(self, finite: bool = True, manual: bool = False):
        super().__init__()
        self.automatic_optimization = not manual
        self.net = torch.nn.Linear(1, 1)
        torch.nn.init.zeros_(self.net.weight)
        torch.nn.init.zeros_(self.net.bias)
        self.finite = finite
        self.rates, self.shares = [], []

    def training_step(self, batch, index):
        x, y = batch
        loss = (self.net(x) - y).square().mean()
        self.rates.append(self.trainer.optimizers[0].param_groups[0]['lr'])
        self.shares.append(self.progress)
        if not self.automatic_optimization:
            for optimizer in self.optimizers():
                optimizer.step()
            return None
        return loss

    def validation_step(self, batch, index):
        x, y = batch
        loss = (self.net(x) - y).square().mean()
        self.log('val_loss', loss if self.finite else loss * float('nan'))

    def configure_optimizers(self):
        first = torch.optim.SGD(self.parameters(), 1.0)
        if self.automatic_optimization:
            return first
        return [first, torch.optim.SGD([{'params': list(self.parameters()), 'lr_scale': 0.5}], 1.0)]


class Points(lightning.LightningDataModule):
    def train_dataloader(self):
        x = torch.linspace(-1, 1, 8)[:, None]
        return DataLoader(TensorDataset(x, 2 * x), 2)

    val_dataloader = train_dataloader


def config(**changes) -> TrainingConfig:
    return TrainingConfig(
        **{'epochs': 5, 'lr': 0.1, 'lr_end': 0.02, 'accelerator': 'cpu', 'gradient_clip': None, **changes}
    )


def test_the_learning_rate_falls_linearly_to_its_end(tmp_path):
    module = Line()
    fit(module, Points(), tmp_path, config())
    assert len(module.rates) == 20
    expected = torch.linspace(0.1 - 0.08 / 20, 0.02, 20)
    assert module.rates == pytest.approx(expected.tolist())


def test_two_optimizers_a_batch_do_not_hurry_the_schedule(tmp_path):
    module = Line(manual=True)
    fit(module, Points(), tmp_path, config())
    assert module.shares == pytest.approx([(k + 1) / 20 for k in range(20)])


def test_a_time_budget_ends_the_run_and_its_schedule(tmp_path):
    class Slow(LinearDecay):
        """As if each batch had taken one minute."""

        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            self._tick = None
            super().on_train_batch_start(trainer, module, batch, batch_idx)
            self.spent += 60

    decay = Slow(config(max_minutes=10))
    module = Line()
    module.progress = 0.0
    trainer = lightning.Trainer(
        max_epochs=100,
        callbacks=[decay],
        logger=False,
        enable_checkpointing=False,
        accelerator='cpu',
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, Points())
    assert len(module.rates) == 10
    assert module.shares == pytest.approx([k / 10 for k in range(10)], abs=0.01)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole, first, second = Line(), Line(), Line()
    constant = {'lr_end': 0.1}
    fit(whole, Points(), tmp_path / 'whole', config(epochs=3, **constant))
    fit(first, Points(), tmp_path / 'parts', config(epochs=1, **constant))
    fit(second, Points(), tmp_path / 'parts', config(epochs=3, **constant))
    assert len(second.rates) == 8
    assert torch.equal(whole.net.weight, second.net.weight)


class Chance(CarriesState, Line):
    """What it learns depends on the order of the batches, on chance and on what it remembers of earlier batches."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def training_step(self, batch, index):
        x, y = batch
        self.seen.append(x.flatten().tolist())
        said = self.net(x) + (0 if self._state is None else self._state)
        self._state = 0.1 * said.mean().detach()
        return (torch.nn.functional.dropout(said) - y).square().mean()

    def validation_step(self, batch, index):
        super().validation_step(batch, index)
        self._state = torch.rand(())


class Shuffled(Points):
    def train_dataloader(self):
        points = super().train_dataloader().dataset
        return Batches(points, 2, sampler=DistributedSampler(points, 1, 0))


@pytest.mark.parametrize('reload', [False, True])
@pytest.mark.parametrize('stops', [(4, 8), (2, 6), (3, 5, 7)])
def test_a_run_that_is_stopped_at_any_batch_goes_on_as_if_it_had_not_stopped(tmp_path, stops, reload):
    """Four batches are an epoch, and it is validated after every second one."""
    models, seen = {}, {}
    for name, ends in (('whole', (12,)), ('parts', (*stops, 12))):
        seen[name] = []
        for end in ends:
            model = models[name] = Chance()
            average = (EMAWeightAveraging(decay=0.5),)
            fit(
                model,
                Shuffled(),
                tmp_path / name,
                config(max_batches=end, lr_end=0.1, validate_every=0.5),
                extra_callbacks=average,
                reload_data=reload,
            )
            seen[name] += model.seen
    assert seen['parts'] == seen['whole'] and len(seen['whole']) == 12
    assert torch.equal(models['whole'].net.weight, models['parts'].net.weight)


def test_a_run_that_is_killed_within_an_epoch_goes_on_from_its_last_validation(tmp_path):
    class Killed(Chance):
        def training_step(self, batch, index):
            if len(self.seen) == 7:
                raise RuntimeError('killed')
            return super().training_step(batch, index)

    plan = config(epochs=3, lr_end=0.1, validate_every=0.5)
    whole, killed, second = Chance(), Killed(), Chance()
    fit(whole, Shuffled(), tmp_path / 'whole', plan)
    with pytest.raises(RuntimeError, match='killed'):
        fit(killed, Shuffled(), tmp_path / 'parts', plan)
    fit(second, Shuffled(), tmp_path / 'parts', plan)
    assert killed.seen[:6] + second.seen == whole.seen
    assert torch.equal(whole.net.weight, second.net.weight)


def test_minutes_are_counted_however_few_batches_an_epoch_has(tmp_path):
    class Slow(Line):
        def training_step(self, batch, index):
            time.sleep(0.1)
            return super().training_step(batch, index)

    class One(Points):
        def train_dataloader(self):
            return DataLoader(super().train_dataloader().dataset, 8)

    for folder, plan in (('one', {}), ('often', {'validate_every': 0.25})):
        module = Slow()
        fit(module, One() if folder == 'one' else Points(), tmp_path / folder, config(max_minutes=0.3 / 60, **plan))
        assert len(module.rates) <= 3  # no more sleep fits into the budget
        assert spent(tmp_path / folder)['minutes'] >= 0.3 / 60


def test_a_run_that_was_moved_keeps_its_best_model(tmp_path):
    class Climbing(Line):
        def validation_step(self, batch, index):
            self.log('val_loss', torch.tensor([5.0, 1.0, 3.0, 2.0][self.current_epoch]))

    fit(Climbing(), Points(), tmp_path / 'here', config(epochs=2))
    (tmp_path / 'here').rename(tmp_path / 'there')
    best = fit(Climbing(), Points(), tmp_path / 'there', config(epochs=4))
    assert best == tmp_path / 'there' / 'best.ckpt'
    assert torch.load(best, weights_only=True)['epoch'] == 1


@pytest.mark.parametrize('budget', [{}, {'max_batches': 3}, {'max_minutes': 1e-6}])
def test_a_finished_run_returns_its_best_model_at_once(tmp_path, budget):
    fit(Line(), Points(), tmp_path, config(**budget))
    module = Line()
    best = fit(module, Points(), tmp_path, config(**budget))
    assert module.rates == []
    assert checkpoint_weights(best, 'net')['weight'].item() != 0


def test_a_run_with_a_larger_budget_goes_on(tmp_path):
    fit(Line(), Points(), tmp_path, config(max_batches=3))
    module = Line()
    fit(module, Points(), tmp_path, config(max_batches=8))
    assert len(module.rates) == 5


def test_a_run_can_be_resumed_again_and_again_and_keeps_its_tables(tmp_path):
    for epochs in (1, 2, 3):
        fit(Line(), Points(), tmp_path, config(epochs=epochs))
    losses = []
    for start in range(3):
        with (tmp_path / 'csv' / f'version_{start}' / 'metrics.csv').open() as file:
            losses += [float(row['val_loss']) for row in csv.DictReader(file) if row['val_loss']]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)


def test_the_best_model_is_the_one_with_the_lowest_validation_loss(tmp_path):
    class Climbing(Line):
        def validation_step(self, batch, index):
            self.log('val_loss', torch.tensor(float(abs(self.current_epoch - 1))))

    module = Climbing()
    best = fit(module, Points(), tmp_path, config())
    assert torch.load(best, weights_only=True)['epoch'] == 1


def test_a_run_without_a_finite_loss_is_refused(tmp_path):
    with pytest.raises(ValueError, match='without a finite val_loss'):
        fit(Line(finite=False), Points(), tmp_path, config(epochs=1))


def test_weights_that_are_not_there_are_named(tmp_path):
    best = fit(Line(), Points(), tmp_path, config(epochs=1))
    with pytest.raises(ValueError, match=r'no weights named generator\.'):
        checkpoint_weights(best, 'generator')
