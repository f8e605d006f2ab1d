"""ROS in the test's own process: started once, and nodes that are gone when their test is over."""

import gc
import os
import weakref

import pytest


@pytest.fixture(scope='session')
def ros(tmp_path_factory):
    import rclpy

    from lsp_ros.nodes.process import use_shipped_profile

    use_shipped_profile()
    # Converted renderers: made by the first test that renders, not found in (or left in) the user's own cache.
    os.environ['LSP_CACHE_DIR'] = str(tmp_path_factory.mktemp('cache'))
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.fixture(scope='session')
def renderable_avatar(ros, tiny_avatar):
    """The tiny avatar, whose renderer is converted already."""
    from lsp_ros.avatar.load import Avatar
    from lsp_ros.rendering.engines.factory import make_engine

    make_engine('auto', Avatar.load(tiny_avatar, parts=('rendering',)))
    return tiny_avatar


@pytest.fixture
def make_node(ros):
    """``make_node(node_class, **parameters)``: one of our nodes in this process, for as long as the test lasts.

    It is destroyed then and there. Left to the garbage collector, it would be torn down while another test runs, and
    Fast DDS has been seen to wait for ever in that.
    """
    from rclpy.parameter import Parameter

    nodes = []

    def make(node_class, **parameters):
        node = node_class()
        nodes.append(node)
        results = node.set_parameters([Parameter(name, value=value) for name, value in parameters.items()])
        assert all(result.successful for result in results), results
        return node

    yield make
    gone = [weakref.ref(node) for node in nodes]
    while nodes:
        node = nodes.pop()
        if node.executor:
            node.executor.remove_node(node)
        node.finish()
        node.destroy_node()
        del node
    gc.collect()
    assert not any(reference() for reference in gone), 'a node outlives its test'
