"""What the motion node makes of its namespace."""

import pytest

from lsp_ros.nodes.motion import camera_frame


@pytest.mark.parametrize(
    ('namespace', 'frame'),
    [
        ('/avatar', 'avatar_camera_optical_frame'),
        ('/robot1/avatar', 'robot1/avatar_camera_optical_frame'),
        ('/', 'camera_optical_frame'),
    ],
)
def test_each_namespace_has_a_camera_frame_of_its_own(namespace, frame):
    assert camera_frame(namespace) == frame
