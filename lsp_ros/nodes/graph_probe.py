"""A look at a running graph from outside, and a word to it: for the `lsp` command, which has no ROS in its own process.

    python -m lsp_ros.nodes.graph_probe NAMESPACE [--speech SOUND_FILE] [--seconds SECONDS]

prints as JSON how many publish the namespace's ``audio`` and, with a sound file, whether an audio source that listens
to ``audio_in`` took it (``lsp_ros.graph.probe`` reads it).
"""

import argparse
import json
import time
import uuid

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node

from lsp_ros.graph.process_lifetime import end_with_parent
from lsp_ros.nodes.process import use_shipped_profile
from lsp_ros.nodes.qos import AUDIO_QOS

SECONDS_TO_FIND = 0.4  # the shipped profile announces every node eight times in it; one is enough
SECONDS_BETWEEN_LOOKS = 0.02
SECONDS_TO_LISTEN = 5.0  # an audio source looks for its topic five times a second


def count_sources(node: Node, topic: str, seconds: float) -> int:
    """How many publish that topic; returns with the first one, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (count := node.count_publishers(topic)) and time.monotonic() < deadline:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return count


def speak(node: Node, topic: str, path: str) -> bool:
    """Publish a whole recording at once, as a text-to-speech node does; False where nobody listens."""
    # Only here: who just counts has to be quick, since a graph that starts waits for the answer.
    from lsp_ros import timeline
    from lsp_ros.live.stamped import AudioBlock
    from lsp_ros.media.sound import read_audio
    from lsp_ros.msg import AudioChunk
    from lsp_ros.nodes.conversions import audio_to_message

    publisher = node.create_publisher(AudioChunk, topic, AUDIO_QOS)
    deadline = time.monotonic() + SECONDS_TO_LISTEN
    while not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            return False
        time.sleep(SECONDS_BETWEEN_LOOKS)
    samples, now = read_audio(path), node.get_clock().now().nanoseconds
    for first in range(0, len(samples), timeline.SAMPLE_RATE):
        piece = samples[first : first + timeline.SAMPLE_RATE]
        publisher.publish(audio_to_message(AudioBlock('speech', first, now + timeline.samples_to_ns(first), piece)))
    return publisher.wait_for_all_acked(Duration(seconds=SECONDS_TO_LISTEN))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m lsp_ros.nodes.graph_probe')
    parser.add_argument('namespace')
    parser.add_argument('--speech', default='', help='a sound file to speak to audio_in')
    parser.add_argument('--seconds', type=float, default=SECONDS_TO_FIND, help='to look for a source')
    options = parser.parse_args(arguments)
    end_with_parent()  # nobody hears the answer of a probe that outlives who asked
    use_shipped_profile()
    rclpy.init(args=[])
    try:
        node = rclpy.create_node(f'graph_probe_{uuid.uuid4().hex[:8]}')
        seen = {
            'sources': count_sources(node, f'{options.namespace}/audio', options.seconds),
            'heard': bool(options.speech) and speak(node, f'{options.namespace}/audio_in', options.speech),
        }
    finally:
        rclpy.try_shutdown()
    print(json.dumps(seen))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
