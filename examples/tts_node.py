"""Your own text-to-speech node: says every sentence that arrives on the topic /say.

    lsp up --source topic                                     # the avatar, listening to /avatar/audio_in
    python examples/tts_node.py                               # this node
    python examples/tts_node.py "Hello, nice to meet you."    # or: say one sentence and end

Whole sentences are published at once, faster than real time: the avatar keeps them and speaks them at
their own speed. Any TTS that gives samples fits into ``synthesize``.
"""

import subprocess
import sys
import tempfile
import time

import rclpy
import soundfile
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String

from lsp_ros.msg import AudioChunk


def synthesize(text: str):
    """Text -> (n,) float32 mono samples, and their rate in Hz."""
    with tempfile.NamedTemporaryFile(suffix='.wav') as file:
        subprocess.run(['espeak-ng', '-w', file.name, '--', text], check=True)
        return soundfile.read(file.name, dtype='float32')


class TTSNode(Node):
    def __init__(self):
        super().__init__('tts')
        self.publisher = self.create_publisher(AudioChunk, '/avatar/audio_in', 10)
        self.create_subscription(String, '/say', lambda message: self.say(message.data), 10)
        self.position = 0

    def say(self, text: str) -> None:
        samples, rate = synthesize(text)
        chunk = AudioChunk(stream_id='tts', first_sample=self.position, sample_rate=rate)
        chunk.header.stamp = self.get_clock().now().to_msg()
        chunk.samples.frombytes(samples.tobytes())
        self.publisher.publish(chunk)
        self.position += len(samples)
        self.get_logger().info(f'{len(samples) / rate:.1f} s: {text}')


def main() -> None:
    rclpy.init()
    node = TTSNode()
    if len(sys.argv) > 1:
        while not node.publisher.get_subscription_count():
            rclpy.spin_once(node, timeout_sec=0.1)
        node.say(' '.join(sys.argv[1:]))
        time.sleep(0.5)  # let the message leave before the process does
    else:
        try:
            rclpy.spin(node)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass


if __name__ == '__main__':
    main()
