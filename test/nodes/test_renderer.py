"""The renderer node within the test's own process."""

import gc
import weakref

from rclpy.lifecycle import TransitionCallbackReturn
from ros_messages import motion_message

from lsp_ros.avatar.load import Avatar
from lsp_ros.nodes.renderer import OutputStream, RendererNode


def test_a_renderer_that_is_cleaned_up_lets_go_of_its_model(make_node, renderable_avatar):
    message = motion_message(0, Avatar.load(renderable_avatar, parts=('motion',)))
    renderer = make_node(RendererNode, avatar=str(renderable_avatar))
    for _ in range(2):
        assert renderer.trigger_configure() == TransitionCallbackReturn.SUCCESS
        (stream,) = [thing for thing in gc.get_objects() if type(thing) is OutputStream]
        engine = weakref.ref(stream.renderer.stage.engine)
        assert renderer.trigger_activate() == TransitionCallbackReturn.SUCCESS
        renderer.move(stream, renderer.decode(stream, message))
        del stream
        renderer.trigger_deactivate()
        renderer.trigger_cleanup()
        assert engine() is None
