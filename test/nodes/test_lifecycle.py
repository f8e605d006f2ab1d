"""What all nodes have in common, of nodes in a program of somebody else's."""

import gc
import os
import socket

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.motion import MotionNode
from lsp_ros.nodes.renderer import RendererNode


def test_what_goes_wrong_again_and_again_does_not_fill_the_log(make_node, capfd):
    node = make_node(lambda: StreamNode('troubled'))
    for _ in range(1000):
        node.report_problem('odd things', 'something odd')
    assert 1 <= capfd.readouterr().err.count('something odd') < 1000


def status_of(node):
    """The status that a node's next diagnostics hold."""
    published = []
    node._diagnostics.publish = published.append
    node._publish_diagnostics()
    (status,) = published[-1].status
    return status


def test_a_state_that_lasts_is_told_once_and_warned_of_until_it_ends(make_node, capfd):
    node = make_node(lambda: StreamNode('deaf'))
    levels = []
    for look in range(100):
        if look % 3 == 0:
            node.report_state('missing ears', 'no ears; silence meanwhile')
        levels.append(status_of(node).level)
    assert set(levels) == {DiagnosticStatus.WARN}
    assert status_of(node).message == 'no ears; silence meanwhile'
    assert capfd.readouterr().err.count('no ears') == 1
    node.end_state('missing ears')
    assert status_of(node).level == DiagnosticStatus.OK


def test_diagnostics_name_the_machine_and_the_node(make_node):
    status = status_of(make_node(lambda: StreamNode('somebody')))
    assert status.hardware_id == f'{socket.gethostname()}: somebody'


def test_what_shuts_down_by_the_life_cycle_has_nothing_left_to_do(make_node):
    node = make_node(lambda: StreamNode('leaving'))
    assert not node.shut_down
    assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
    assert node.shut_down


def test_a_signal_that_a_loading_module_turned_into_an_error_is_still_a_signal(make_node):
    class Loading(RendererNode):
        def open(self):
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as signalled:
                raise ImportError('initialization failed') from signalled

    with pytest.raises(KeyboardInterrupt):
        make_node(Loading).trigger_configure()


def test_a_live_parameter_counts_at_once_and_one_that_is_refused_never(make_node, tiny_avatar):
    node = make_node(MotionNode, avatar=str(tiny_avatar), idle_amplitude=0.5)
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    stage = node._stream._stage
    assert stage.idle_amplitude == 0.5
    assert node.set_parameters([Parameter('idle_amplitude', value=0.25)])[0].successful
    assert stage.idle_amplitude == 0.25
    assert not node.set_parameters([Parameter('idle_amplitude', value=-1.0)])[0].successful
    assert stage.idle_amplitude == 0.25
    node.trigger_cleanup()
    assert node.set_parameters([Parameter('idle_amplitude', value=1.5)])[0].successful
    node.trigger_configure()
    assert node._stream._stage.idle_amplitude == 1.5


def test_a_node_in_somebodys_program_changes_nothing_of_it(make_node, renderable_avatar):
    """Neither the garbage collector nor the priority of a thread: whoever starts the process decides on those."""
    frozen = gc.get_freeze_count()
    node = make_node(RendererNode, avatar=str(renderable_avatar))
    node.trigger_configure()
    node.trigger_activate()
    assert node.active and gc.get_freeze_count() == frozen
    threads = [int(number) for number in os.listdir('/proc/self/task')]
    assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {os.getpriority(os.PRIO_PROCESS, 0)}


def test_a_node_that_is_destroyed_has_left_the_graph(ros):
    observer = rclpy.create_node('observer')
    node = StreamNode('leaving')
    try:
        assert 'leaving' in observer.get_node_names()
        node.destroy_node()
        assert 'leaving' not in observer.get_node_names()
        services = {name for name, _ in observer.get_service_names_and_types() if name.startswith('/leaving')}
        assert services <= {'/leaving/get_type_description'}  # which rclpy itself leaves behind, of any node
    finally:
        observer.destroy_node()
