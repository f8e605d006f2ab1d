"""The losses of paper section 4.2, equation by equation. All are means, so that weights hold for any batch size."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

# The likelihood of a head pose does not grow below this standard deviation (degrees, centimetres).
SMALLEST_SIGMA = 0.03


def mouth_loss(displacement: Tensor, truth: Tensor) -> Tensor:
    """Equation 10, as a mean: squared length of the error of each point; (..., 75) or (..., 25, 3)."""
    return 3 * torch.nn.functional.mse_loss(displacement, truth)


def head_pose_nll(
    mean: Tensor, log_inv_sigma: Tensor, truth: Tensor, smallest_sigma: float | Tensor = SMALLEST_SIGMA
) -> Tensor:
    """Equation 11: mean negative log-likelihood a number of ``truth`` under N(mean, exp(-n)^2).

    ``n`` is limited to ln(1 / smallest_sigma), so that a lucky guess cannot drive the loss to minus infinity.
    """
    n = log_inv_sigma.clamp(max=-torch.as_tensor(smallest_sigma, device=mean.device).log())
    return (0.5 * math.log(2 * math.pi) - n + 0.5 * ((truth - mean) * n.exp()) ** 2).mean()


def _total(terms: Iterable[Tensor]) -> Tensor:
    """The sum of some numbers on one device; zero of none."""
    return sum(terms, start=torch.zeros(()))


def discriminator_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Equation 12, least squares: real verdicts to 1, fake ones to 0; summed over the scales."""
    return _total(
        (r[-1].float() - 1).square().mean() + f[-1].float().square().mean() for r, f in zip(real, fake, strict=True)
    )


def adversarial_loss(fake: list[list[Tensor]]) -> Tensor:
    """The generator's part of equation 12: fake verdicts to 1; summed over the scales."""
    return _total((f[-1].float() - 1).square().mean() for f in fake)


def feature_matching_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Equation 15: mean absolute difference of the discriminator's inner features, summed over layers and scales."""
    return _total(
        (r.detach().float() - f.float()).abs().mean()
        for real_layers, fake_layers in zip(real, fake, strict=True)
        for r, f in zip(real_layers[:-1], fake_layers[:-1], strict=True)
    )
