"""An avatar with other settings or networks, and what the live stages make of a sound with it."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from lsp_ros.avatar.load import Avatar
from lsp_ros.motion.stage import MotionStage
from lsp_ros.signals import FaceMotion, SpeechFeatures
from lsp_ros.speech.stage import SpeechStage


def with_settings(avatar: Avatar, **sections: Any) -> Avatar:
    """The same avatar with other sections of its manifest."""
    other = copy.copy(avatar)
    other.manifest = replace(avatar.manifest, **sections)
    return other


def with_networks(avatar: Avatar, **networks: dict[str, np.ndarray]) -> Avatar:
    """The same avatar with other weights of 'apc', 'mouth', 'head_pose' or 'renderer'."""
    return _Refitted(avatar, networks)


class _Refitted(Avatar):
    """An avatar of which some networks have other weights."""

    def __init__(self, avatar: Avatar, networks: dict[str, dict[str, np.ndarray]]) -> None:
        vars(self).update(vars(avatar))
        self._avatar, self._networks = avatar, networks

    def weights(self, name: str) -> dict[str, np.ndarray]:
        return self._networks[name] if name in self._networks else self._avatar.weights(name)


def with_projection(avatar: Avatar, share: float) -> Avatar:
    """The same avatar with another share of manifold projection (0: raw speech features)."""
    return with_settings(avatar, speech=replace(avatar.manifest.speech, projection=share))


def hear(avatar: Avatar, samples: np.ndarray) -> SpeechFeatures:
    """The speech features of a clip, by the live stage."""
    stage = SpeechStage(avatar)
    return SpeechFeatures.whole([stage.push(samples), stage.flush()])


def move(avatar: Avatar, features: SpeechFeatures, seed: int = 0) -> FaceMotion:
    """The face motion of a clip, by the live stage."""
    stage = MotionStage(avatar, seed=seed)
    return FaceMotion.whole([stage.push(features), stage.flush()])
