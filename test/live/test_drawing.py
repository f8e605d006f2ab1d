"""Pictures for several streams at once, without ROS; what is fair and what is in order is in test_scheduling."""

import queue
import threading
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from lsp_ros.avatar.load import Avatar
from lsp_ros.live.counters import Counters
from lsp_ros.live.drawing import DrawingPool, MotionFrame, SharedRenderer
from lsp_ros.live.stamped import FrameStamp
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.engines.factory import make_engine
from lsp_ros.rendering.stage import RenderStage

PATIENCE = 60.0


class Told(Counters):
    """Everything that a pool tells."""

    def __init__(self):
        super().__init__(0.0)
        self.sentences = []

    def report_problem(self, counter, sentence, count=1):
        self.sentences.append(sentence)
        self.count_problem(counter, count)

    def tell(self, sentence):
        self.sentences.append(sentence)


@dataclass(frozen=True, eq=False)
class Stream:
    prefix: str
    renderer: SharedRenderer


@pytest.fixture(scope='module')
def avatar(tiny_avatar):
    return Avatar.load(tiny_avatar)


@pytest.fixture(scope='module')
def renderer(avatar):
    engine = make_engine('torch', avatar, 1)
    return SharedRenderer(RenderStage(avatar, engine, mark=False), engine)


@pytest.fixture(scope='module')
def motion(avatar):
    stage = MotionStage(avatar)
    return stage.push(stage.silence(int(stage.look_ahead) + 4))


@pytest.fixture
def pool():
    """A pool of two workers, what it tells, and what it publishes; its threads have ended when the test has."""
    told, published, before = Told(), queue.Queue(), threading.active_count()
    made = DrawingPool(told, lambda *drawn: published.put(drawn), 2, lambda work: work, lambda thread: None)
    yield made, told, published
    made.close()
    assert threading.active_count() == before


def frame(motion, number):
    return MotionFrame(FrameStamp('a', number, number), 'camera', motion[number : number + 1], time.perf_counter())


def test_each_stream_gets_its_own_pictures_in_order(pool, renderer, motion):
    pool, told, published = pool
    one, other = Stream('one: ', renderer), Stream('other: ', renderer)
    seen = {one: [], other: []}
    for number in range(len(motion)):
        for stream in seen:
            pool.put(stream, frame(motion, number))
        for _ in seen:
            stream, drawn, picture = published.get(timeout=PATIENCE)
            np.testing.assert_array_equal(picture, renderer.stage.render(drawn.motion)[0].image)
            seen[stream].append(drawn.stamp.frame)
    assert seen == {one: list(range(len(motion))), other: list(range(len(motion)))}
    report = told.report(1.0)
    assert (report.events['one: frames asked for'], report.problems) == (len(motion), 0)
    assert len(report.durations['other: motion to image']) == len(motion)


def test_a_frame_that_cannot_be_drawn_is_told_and_the_next_one_is_drawn(pool, renderer, motion):
    pool, told, published = pool
    stream = Stream('', renderer)
    behind = replace(motion[:1], translation=-motion[:1].translation)
    pool.put(stream, replace(frame(motion, 0), motion=behind))
    deadline = time.monotonic() + PATIENCE
    while not told.sentences:
        assert time.monotonic() < deadline, 'nothing is told'
        time.sleep(0.01)
    pool.put(stream, frame(motion, 1))
    _, drawn, _ = published.get(timeout=PATIENCE)
    assert drawn.stamp.frame == 1
    assert told.sentences == ['points to project are not all in front of the camera (z > 0): frame 0 is left out']
    assert told.report(1.0).totals == {'frames that cannot be drawn': 1}
