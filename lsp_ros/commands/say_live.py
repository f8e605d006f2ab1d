"""``lsp say --live``: a text through the avatar that runs, if it listens, or one of its own."""

import argparse
import tempfile
from pathlib import Path

from lsp_ros.graph.avatar_graph import avatar_graph, speak_to_running, speech_values
from lsp_ros.graph.configuration import flagged
from lsp_ros.text_to_speech import read_text, synthesize

SECONDS_AFTER_SPEECH = 1.0


def run_say_live(options: argparse.Namespace) -> None:
    text = read_text(options.text)
    with tempfile.TemporaryDirectory(prefix='lsp_say_') as folder:
        speech = Path(folder) / 'speech.wav'
        synthesize(text, speech, options.tts, options.voice)
        if speak_to_running(speech, options.namespace):
            return
        values = {row.name: getattr(options, row.name) for row in flagged() if row.shared}
        values |= speech_values(speech, end_after=SECONDS_AFTER_SPEECH)
        avatar_graph(values, options.namespace).run(look=False)
