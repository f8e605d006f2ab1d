"""The nodes' parameters are what the documentation says."""

from pathlib import Path

from lsp_ros.nodes.audio_source import AudioSource
from lsp_ros.nodes.motion import MotionNode
from lsp_ros.nodes.player import Player
from lsp_ros.nodes.renderer import RendererNode
from lsp_ros.nodes.speech_features import SpeechFeaturesNode


def test_a_node_answers_for_its_parameters_in_the_documentation():
    """Every parameter stands in docs/topics.md with its default."""
    text = (Path(__file__).parents[2] / 'docs' / 'topics.md').read_text()
    for node_class in (AudioSource, SpeechFeaturesNode, MotionNode, RendererNode, Player):
        for row in node_class.PARAMETERS:
            default = str(row.default).lower() if isinstance(row.default, bool) else str(row.default) or "''"
            assert f'| `{row.name}` | {default} |' in text, f'{node_class.__name__}: {row.name}'
