"""The range that a head keeps to."""

import numpy as np

from lsp_ros.motion.pose_limits import PoseLimits

LIMITS = PoseLimits(np.array([-12.0, -15, -8, -1.5, -1, -2]), np.array([10.0, 15, 8, 1.5, 1, 3]))


def test_soft_limit_bends_only_near_the_edge():
    inner = LIMITS.low + np.linspace(0.06, 0.94, 50)[:, None] * (LIMITS.high - LIMITS.low)
    np.testing.assert_array_equal(LIMITS.soften(inner), inner)
    line = LIMITS.low + np.linspace(-5, 6, 2001)[:, None] * (LIMITS.high - LIMITS.low)
    bent = LIMITS.soften(line)
    assert (bent >= LIMITS.low).all() and (bent <= LIMITS.high).all()
    assert (np.diff(bent, axis=0) >= 0).all() and np.abs(np.diff(bent, axis=0) / np.diff(line, axis=0)).max() <= 1.0001
