"""A look at a running graph from outside, and a word to it: for the `lsp` command, which has no ROS in its own process.

    python -m lsp_ros.nodes.graph_probe NAMESPACE [SOUND_FILE]

prints as JSON how many publish the namespace's ``audio`` and, with a sound file, whether an audio source that listens
to ``audio_in`` took it.
"""

import json
import sys
import time
import uuid

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node

from lsp_ros.nodes.process import use_shipped_profile
from lsp_ros.nodes.qos import AUDIO_QOS

SECONDS_TO_FIND = 0.4  # the shipped profile announces every node eight times in it; one is enough
SECONDS_TO_LISTEN = 5.0  # an audio source looks for its topic five times a second


def count_sources(node: Node, topic: str) -> int:
    """How many publish that topic; returns with the first one, or after a while."""
    deadline = time.monotonic() + SECONDS_TO_FIND
    while not (count := node.count_publishers(topic)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return count


def speak(node: Node, topic: str, path: str) -> bool:
    """Publish a whole recording at once, as a text-to-speech node does; False where nobody listens."""
    # Only here: who just counts has to be quick, since a graph that starts waits for the answer.
    from lsp_ros import timeline
    from lsp_ros.live.stamped import AudioBlock
    from lsp_ros.media import read_audio
    from lsp_ros.msg import AudioChunk
    from lsp_ros.nodes.conversions import audio_to_message

    publisher = node.create_publisher(AudioChunk, topic, AUDIO_QOS)
    deadline = time.monotonic() + SECONDS_TO_LISTEN
    while not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    samples, now = read_audio(path), node.get_clock().now().nanoseconds
    for first in range(0, len(samples), timeline.SAMPLE_RATE):
        piece = samples[first : first + timeline.SAMPLE_RATE]
        publisher.publish(audio_to_message(AudioBlock('speech', first, now + timeline.samples_to_ns(first), piece)))
    return publisher.wait_for_all_acked(Duration(seconds=SECONDS_TO_LISTEN))


def main(namespace: str, speech: str = '') -> int:
    use_shipped_profile()
    rclpy.init(args=[])
    try:
        node = rclpy.create_node(f'graph_probe_{uuid.uuid4().hex[:8]}')
        seen = {
            'sources': count_sources(node, f'{namespace}/audio'),
            'heard': bool(speech) and speak(node, f'{namespace}/audio_in', speech),
        }
    finally:
        rclpy.try_shutdown()
    print(json.dumps(seen))
    return 0


if __name__ == '__main__':
    raise SystemExit(main(*sys.argv[1:]))
