"""Each node as the process that a user starts: transport, avatars, life cycle, parameters, signals."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage

from lsp_ros.avatar.consent import record_text
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.save import add_consent
from lsp_ros.msg import AudioChunk, FaceMotion

nan = float('nan')


# Transport


def largest_segment_of(graph, environment: dict) -> int:
    """Bytes of the largest shared-memory segment that Fast DDS makes for a node; it also maps those of others."""
    before = set(Path('/dev/shm').iterdir())
    chunks = graph.collect(AudioChunk, 'audio')
    source = graph.start('audio_source', environment=environment, source='silence')
    graph.until(lambda: chunks, 'no audio')
    lines = [line.split() for line in Path(f'/proc/{source.popen.pid}/maps').read_text().splitlines()]
    segments = {Path(line[-1]) for line in lines if line[-1].startswith('/dev/shm/fastdds_')} - before
    sizes = [segment.stat().st_size for segment in segments]
    assert source.end() == 0
    return max(sizes)


def test_every_node_makes_room_for_pictures_unless_the_user_has_a_profile(graph, tmp_path):
    profile = 'FASTDDS_DEFAULT_PROFILES_FILE'
    bare = {name: value for name, value in os.environ.items() if name != profile}
    assert largest_segment_of(graph, bare) >= 32 * 2**20
    own = tmp_path / 'own.xml'
    own.write_text('<profiles xmlns="http://www.eprosima.com"/>')
    assert largest_segment_of(graph, {**bare, profile: str(own)}) < 2 * 2**20


# Avatars that cannot be used


def damage(folder: Path, how: str) -> Path:
    weights = folder / 'mouth.safetensors'
    if how == 'missing':
        shutil.rmtree(folder)
    elif how == 'truncated':
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how == 'checksum':
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif how == 'pickle':
        import hashlib
        import pickle

        data = pickle.dumps({'weight': [1.0]})
        manifest = folder / 'avatar.yaml'
        old = hashlib.sha256(weights.read_bytes()).hexdigest()
        weights.write_bytes(data)
        manifest.write_text(manifest.read_text().replace(old, hashlib.sha256(data).hexdigest()))
    return folder


@pytest.mark.parametrize(
    ('how', 'sentence'),
    [('missing', 'no such avatar'), ('truncated', 'checksum'), ('checksum', 'checksum'), ('pickle', 'pickle')],
)
def test_an_avatar_that_cannot_be_used_ends_the_node_with_a_sentence(graph, tiny_avatar_copy, how, sentence):
    node = graph.start('motion', avatar=damage(tiny_avatar_copy, how))
    assert node.wait() == 1
    assert sentence in node.said()
    fatal = [line for line in node.said().splitlines() if 'FATAL' in line]
    assert len(fatal) == 1


@pytest.mark.parametrize('name', ['speech_features', 'renderer'])
def test_the_other_nodes_check_their_avatar_too(graph, name):
    node = graph.start(name, avatar='nobody')
    assert node.wait() == 1
    assert 'nobody: there is no such avatar' in node.said()


# Life cycle and parameters


def test_diagnostics_say_that_a_node_is_not_running(graph):
    said = []
    graph.node.create_subscription(
        DiagnosticArray, '/diagnostics',
        lambda message: said.extend(status.message for status in message.status if 'audio_source' in status.name), 10,
    )  # fmt: skip
    graph.start('audio_source', source='silence', autostart=False)
    for transition, message in (
        (None, 'unconfigured'),
        (Transition.TRANSITION_CONFIGURE, 'inactive'),
        (Transition.TRANSITION_ACTIVATE, 'running'),
    ):
        if transition:
            assert change_state(graph, 'audio_source', transition)
        graph.until(lambda message=message: said and said[-1] == message, f'{message} is not told')


def call(graph, service_type, name, request):
    client = graph.node.create_client(service_type, name)
    graph.until(client.service_is_ready, f'no service {name}')
    future = client.call_async(request)
    graph.until(future.done, f'no answer from {name}')
    return future.result()


def change_state(graph, node, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return call(graph, ChangeState, f'{node}/change_state', request).success


def state(graph, node):
    return call(graph, GetState, f'{node}/get_state', GetState.Request()).current_state.id


def set_parameter(graph, node, name, value):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    return call(graph, SetParameters, f'{node}/set_parameters', request).results[0]


def test_the_life_cycle_can_be_walked_by_hand(graph, tiny_avatar):
    moved = graph.collect(FaceMotion, 'face_motion')
    graph.start('motion', autostart=False, avatar='nobody')
    assert not change_state(graph, 'motion', Transition.TRANSITION_CONFIGURE)  # it says why, and can be helped
    assert state(graph, 'motion') == State.PRIMARY_STATE_UNCONFIGURED
    assert set_parameter(graph, 'motion', 'avatar', str(tiny_avatar)).successful
    for _ in range(2):
        assert change_state(graph, 'motion', Transition.TRANSITION_CONFIGURE)
        assert not set_parameter(graph, 'motion', 'avatar', 'presenter').successful
        assert change_state(graph, 'motion', Transition.TRANSITION_ACTIVATE)
        count = len(moved)
        graph.until(lambda count=count: len(moved) > count + 10, 'no motion while active')
        assert change_state(graph, 'motion', Transition.TRANSITION_DEACTIVATE)
        graph.spin(0.3)
        count = len(moved)
        graph.spin(0.7)
        assert len(moved) == count
        assert change_state(graph, 'motion', Transition.TRANSITION_CLEANUP)
    assert state(graph, 'motion') == State.PRIMARY_STATE_UNCONFIGURED


def test_a_node_that_is_shut_down_ends_its_process(graph):
    source = graph.start('audio_source', source='silence')
    graph.until_active('audio_source')
    assert change_state(graph, 'audio_source', Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert source.wait() == 0


def test_compressed_pictures_follow_a_remapped_image(graph, renderable_avatar):
    graph.start('motion', avatar=renderable_avatar)
    seen = graph.collect(CompressedImage, 'face/picture/compressed')
    renderer = graph.start('renderer', remappings={'image': 'face/picture'}, avatar=renderable_avatar)
    graph.until(lambda: seen, 'no compressed picture beside the remapped one')
    assert renderer.end() == 0
    other = graph.collect(CompressedImage, 'small')
    remappings = {'image': 'face/picture', 'image/compressed': 'small'}
    graph.start('renderer', remappings=remappings, avatar=renderable_avatar)
    graph.until(lambda: other, 'the remapping of image/compressed itself is not followed')
    graph.start('player', remappings=remappings, compressed=True, window=False, sound=False)
    graph.until(lambda: 'images per second' in graph.diagnostics.get('player', {}), 'the player sees none')


def test_parameters_are_described_and_refuse_what_makes_no_sense(graph):
    graph.start('audio_source', source='silence', autostart=False)
    request = DescribeParameters.Request(names=['lead', 'source'])
    lead, source = call(graph, DescribeParameters, 'audio_source/describe_parameters', request).descriptors
    assert lead.floating_point_range[0].to_value == 5.0 and 'seconds' in lead.description
    assert 'microphone' in source.additional_constraints
    assert 'may change only while the node is not configured' in lead.additional_constraints
    for name, value in [('lead', nan), ('lead', -1.0), ('source', 'radio'), ('loop', 'yes')]:
        result = set_parameter(graph, 'audio_source', name, value)
        assert not result.successful and result.reason
    request = GetParameters.Request(names=['lead', 'source'])
    values = call(graph, GetParameters, 'audio_source/get_parameters', request).values
    assert (values[0].double_value, values[1].string_value) == (0.35, 'silence')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_cleanly(graph, number):
    chunks = graph.collect(AudioChunk, 'audio')
    source = graph.start('audio_source', source='silence')
    graph.until(lambda: chunks, 'no audio')
    assert source.end(number) == 0
    assert 'Traceback' not in source.said()


@pytest.mark.parametrize('name', ['audio_source', 'speech_features', 'motion', 'renderer', 'player'])
def test_a_node_starts_without_torch(name):
    """A node that was killed is back in a moment; importing torch alone takes two seconds."""
    code = f'import sys, lsp_ros.nodes.{name}; sys.exit("torch" in sys.modules or "sklearn" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0


@pytest.mark.parametrize(
    'agreed, told',
    [
        (None, 'consent is not on record'),
        ({'until': '2001-01-01'}, 'consent ran out on 2001-01-01'),
        ({'until': None, 'record': 'exchanged'}, 'SHA-256 is another'),
    ],
)
def test_whoever_starts_a_real_person_without_consent_is_told(graph, renderable_avatar, tmp_path, agreed, told):
    unasked = shutil.copytree(renderable_avatar, tmp_path / 'unasked')
    manifest = unasked / 'avatar.yaml'
    manifest.write_text(manifest.read_text().replace('kind: synthetic', 'kind: real'))
    if agreed:
        consent = {'who': 'A. Person', 'purpose': 'a test', 'means': 'a word', 'until': agreed['until']}
        record = record_text(consent, b'', None, Avatar.load(unasked, parts=()).footage)
        add_consent(
            unasked,
            {**consent, 'record_sha256': hashlib.sha256(record.encode()).hexdigest()},
            agreed.get('record', record),
        )
    renderer = graph.start('renderer', avatar=unasked)
    graph.until(lambda: told in renderer.said(), 'nothing was said')


HALF_STARTED = """
import os, signal
from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.process import run

class Node(StreamNode):
    PARAMETERS = ()

    def __init__(self):
        super().__init__('half_started')

    def open(self): ...

    def start(self):
        os.kill(os.getpid(), signal.SIGINT)
        print('started')

    def stop(self):
        print('stopped')

raise SystemExit(run(Node))
"""


WHOLE_PROCESS = """
import gc, os, threading
from lsp_ros.nodes.lifecycle import Finished, StreamNode
from lsp_ros.nodes.process import run

class Node(StreamNode):
    PARAMETERS = ()

    def __init__(self):
        super().__init__('whole_process')

    def open(self):
        self.call_every(0.01, self.tell_all)

    def tell_all(self):
        worker = threading.Thread(target=threading.Event().wait, daemon=True)
        worker.start()
        self.lower_priority([worker.native_id])
        before, after = (os.getpriority(os.PRIO_PROCESS, thread) for thread in (0, worker.native_id))
        print(gc.get_freeze_count() > 1000, after - before)
        raise Finished

raise SystemExit(run(Node))
"""


def test_a_process_of_our_own_is_tuned_once_its_node_is_active(ros):
    """Which a node in somebody else's program leaves alone (test/nodes/test_lifecycle.py)."""
    done = subprocess.run([sys.executable, '-c', WHOLE_PROCESS], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ['True', '5']), done.stderr


def test_a_signal_while_a_node_starts_stops_what_was_started(ros):
    """Or its threads would keep the process for ever."""
    done = subprocess.run([sys.executable, '-c', HALF_STARTED], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ['started', 'stopped']), done.stderr
