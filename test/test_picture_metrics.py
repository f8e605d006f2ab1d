"""How far pictures are from one another."""

import numpy as np
import pytest
import torch

from lsp_ros.picture_metrics import l1, psnr, ssim


def pictures(seed: int = 0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    noisy = np.clip(truth + rng.normal(0, 20, truth.shape), 0, 255).astype(np.uint8)
    return noisy, truth


def test_l1_and_psnr_of_a_known_difference():
    truth = np.full((8, 8, 3), 100, np.uint8)
    assert l1(truth + np.uint8(5), truth) == 5
    assert l1(truth - np.uint8(5), truth) == 5
    assert psnr(truth + np.uint8(5), truth) == pytest.approx(10 * np.log10(255**2 / 25))
    assert psnr(truth, truth) == np.inf


def test_ssim_agrees_with_an_independent_implementation():
    functional = pytest.importorskip('torchmetrics.functional.image')
    picture, truth = pictures()
    pair = [torch.from_numpy(p.astype(np.float64)).permute(2, 0, 1)[None] for p in (picture, truth)]
    expected = functional.structural_similarity_index_measure(*pair, data_range=255.0)
    assert ssim(picture, truth) == pytest.approx(float(expected), abs=1e-4)
    assert ssim(truth, truth) == pytest.approx(1.0)
