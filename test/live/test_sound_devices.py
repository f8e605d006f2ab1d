"""Sound cards of any rate."""

import numpy as np
import pytest

from lsp_ros.live.sound_devices import AtRate


@pytest.mark.parametrize('rate', [11025, 22050, 44100, 48000])
def test_a_card_of_another_rate_plays_the_same_sound_at_the_same_time(rate):
    """Whatever blocks a card asks for, what it plays at a moment is what was fetched for that moment."""
    rng = np.random.default_rng(rate)
    sound = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    asked, early = [0], []

    def fetch(count: int, delay: float) -> np.ndarray:
        early.append(asked[0] / 16000 - now / rate - delay)
        asked[0] += count
        return sound[asked[0] - count : asked[0]].astype(np.float32)

    card, played, now = AtRate(fetch, rate), [], 0
    while now < rate * 0.9:
        count = int(rng.integers(1, rate // 50))
        played.append(card(count, 0.02))
        assert played[-1].shape == (count,)
        now += count
    heard = np.concatenate(played)
    late = rate // 200  # the first sound after 5 ms of silence, which fetch is told of
    true = np.sin(2 * np.pi * 440 * np.arange(len(heard) - late) / rate)
    assert np.abs(heard[late:] - true)[100:].max() < 1e-3
    assert not heard[: late - 20].any()
    np.testing.assert_allclose(early, -0.025, atol=2e-4)
