"""Your own text-to-speech node: says every sentence that arrives on the topic /say.

    lsp up --source topic                                     # the avatar, listening to /avatar/audio_in
    python examples/tts_node.py                               # this node
    python examples/tts_node.py "Hello, nice to meet you."    # or: say one sentence and end; Ctrl-C interrupts it
    python examples/tts_node.py --cancel                      # or: interrupt what the avatar is saying (barge-in)

Whole sentences are published at once, faster than real time: the avatar keeps them and speaks them at
their own speed. Any TTS that gives samples fits into ``synthesize``.
"""

import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import rclpy
import soundfile
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from std_msgs.msg import Empty, String

from lsp_ros.msg import AudioChunk


def synthesize(text: str) -> tuple[np.ndarray, int]:
    """Text -> (n,) float32 mono samples, and their rate in Hz."""
    if not shutil.which('espeak-ng'):
        raise SystemExit('This example speaks through espeak-ng, which is not installed: apt-get install espeak-ng')
    with tempfile.NamedTemporaryFile(suffix='.wav') as file:
        subprocess.run(['espeak-ng', '-w', file.name, '--', text], check=True)
        return soundfile.read(file.name, dtype='float32')


class TTSNode(Node):
    """Speaks what arrives on /say into the avatar's audio_in, as one stream."""

    def __init__(self) -> None:
        super().__init__('tts')
        self.publisher = self.create_publisher(AudioChunk, '/avatar/audio_in', 10)
        self.canceller = self.create_publisher(Empty, '/avatar/cancel', 10)
        self.create_subscription(String, '/say', lambda message: self.say(message.data), 10)
        self.position = 0

    def say(self, text: str) -> float:
        """Returns how many seconds it lasts."""
        samples, rate = synthesize(text)
        chunk = AudioChunk(stream_id='tts', first_sample=self.position, sample_rate=rate)
        chunk.header.stamp = self.get_clock().now().to_msg()
        chunk.samples.frombytes(samples.tobytes())
        self.publisher.publish(chunk)
        self.position += len(samples)
        self.get_logger().info(f'{len(samples) / rate:.1f} s: {text}')
        return len(samples) / rate

    def cancel(self) -> None:
        """Drop what the avatar has not said yet."""
        self.canceller.publish(Empty())
        time.sleep(0.5)  # let the message leave before the process does

    def wait_for(self, publisher: Publisher) -> None:
        """Until somebody listens."""
        while not publisher.get_subscription_count():
            rclpy.spin_once(self, timeout_sec=0.1)


def main() -> None:
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # a cancel can still be sent after Ctrl-C
    node = TTSNode()
    words = remove_ros_args(sys.argv)[1:]
    try:
        if words == ['--cancel']:
            node.wait_for(node.canceller)
            time.sleep(0.5)  # the audio source and the player listen, one may be found later
            node.cancel()
        elif words:
            node.wait_for(node.publisher)
            time.sleep(node.say(' '.join(words)) + 0.5)
        else:
            rclpy.spin(node)
    except KeyboardInterrupt:
        node.cancel()


if __name__ == '__main__':
    main()
