"""The player node within the test's own process."""

import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Empty

from lsp_ros import timeline
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.conversions import audio_to_message
from lsp_ros.nodes.player import Player
from lsp_ros.nodes.qos import AUDIO_QOS

PATIENCE = 120


@pytest.mark.parametrize(
    ('stream', 'play_microphone', 'heard'),
    [('microphone-1', False, 0.0), ('microphone-1', True, 0.5), ('file-1', False, 0.5)],
)
def test_a_room_does_not_hear_itself_unless_it_is_asked_for(make_node, stream, play_microphone, heard):
    samples, stamp = np.full(320, 0.5, np.float32), 10**18
    player = make_node(Player, sound=False, window=False, play_microphone=play_microphone)
    player.trigger_configure()
    player.trigger_activate()
    player.hear(AudioBlock(stream, 0, stamp, samples))
    assert player.sounds.read(stamp, 320).max() == heard


def test_sound_without_stamps_is_played_now(make_node):
    player = make_node(Player, sound=False, window=False)
    player.trigger_configure()
    player.trigger_activate()
    before = player.now_ns()
    for first in range(0, 3200, 320):
        player.hear(AudioBlock('unset', first, 0, np.full(320, 0.5, np.float32)))
    heard = player.sounds.read(before, 16_000)
    assert np.count_nonzero(heard) == 3200 and np.ptp(np.flatnonzero(heard)) == 3199  # one behind the other
    assert player.see((0, np.zeros((8, 8, 3), np.uint8))) is None and player.first_stamp_ns >= before


@pytest.mark.slow
def test_the_player_is_silent_at_once_when_the_speech_is_cancelled(make_node):
    """What it has received ahead of its time is not played any more."""
    player, executor = make_node(Player, sound=False, window=False), SingleThreadedExecutor()
    executor.add_node(player)
    source = rclpy.create_node('source')

    def until(condition, otherwise):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, otherwise
            executor.spin_once(timeout_sec=0.05)

    try:
        player.trigger_configure()
        player.trigger_activate()
        audio = source.create_publisher(AudioChunk, '/audio', AUDIO_QOS)
        cancel = source.create_publisher(Empty, '/cancel', AUDIO_QOS)
        for publisher in (audio, cancel):
            until(lambda publisher=publisher: publisher.get_subscription_count(), 'nobody listens')
        for first in range(0, 80_000, 320):
            stamp = 10**18 + timeline.samples_to_ns(first)
            audio.publish(audio_to_message(AudioBlock('s', first, stamp, np.ones(320, np.float32))))
            executor.spin_once(timeout_sec=0.001)
        until(lambda: player.sounds.read(10**18, 80_000).all(), 'the player hears nothing')
        cancel.publish(Empty())
        until(lambda: not player.sounds.read(10**18, 80_000).any(), 'the sound is not forgotten')
    finally:
        executor.remove_node(player)
        executor.shutdown()
        source.destroy_node()
