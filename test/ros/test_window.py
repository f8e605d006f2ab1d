"""The player's window on a real X server (Xvfb) or Wayland desktop (Weston) of its own, where those are installed."""

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from lsp_ros import timeline
from lsp_ros.nodes.conversions import header_at, image_to_message
from lsp_ros.nodes.qos import IMAGE_QOS

WITHOUT_DISPLAY = {name: value for name, value in os.environ.items() if name not in ('DISPLAY', 'WAYLAND_DISPLAY')}
HAS_WINDOWS = not re.search(r'GUI:\s+NONE', cv2.getBuildInformation())
MISSING = [tool for tool in ('Xvfb', 'xdotool', 'import') if not shutil.which(tool)]

on_a_screen = pytest.mark.skipif(
    bool(MISSING) or not HAS_WINDOWS,
    reason=f'not installed: {", ".join(MISSING + ["an OpenCV with windows (opencv-python)"] * (not HAS_WINDOWS))}',
)
on_wayland = pytest.mark.skipif(
    not (shutil.which('weston') and shutil.which('Xwayland') and Path('/tmp/.X11-unix').is_dir()),
    reason='not installed: weston, Xwayland',
)
LEFT, RIGHT = (200, 30, 30), (30, 60, 220)


class Show:
    """Pictures at 30 a second for a player to show: red on the left, blue on the right."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        self.report = graph.folder / 'report.json'
        self.film = graph.folder / 'film.mp4'
        self.player = graph.start('player', sound=False, record=self.film, report=self.report, **parameters)
        self.images = graph.publisher(Image, 'image', IMAGE_QOS)
        graph.until_active('player')
        self.start_ns = graph.node.get_clock().now().nanoseconds
        self.frame = 0
        self.picture = np.empty((512, 512, 3), np.uint8)
        self.picture[:, :256], self.picture[:, 256:] = LEFT, RIGHT

    def until(self, condition, otherwise: str):
        def published():
            now = self.graph.node.get_clock().now().nanoseconds
            while self.start_ns + self.frame * timeline.NANOSECONDS_PER_SECOND // 30 <= now:
                stamp = self.start_ns + self.frame * timeline.NANOSECONDS_PER_SECOND // 30
                self.images.publish(image_to_message(self.picture, header_at(stamp)))
                self.frame += 1
            return condition()

        return self.graph.until(published, otherwise)

    def more(self, count: int = 10) -> None:
        """So many pictures more, and until the player says that it got some in the last second."""
        end = self.frame + count
        self.until(lambda: self.frame >= end and self.rate() > 12, 'no pictures')

    def rate(self) -> float:
        return float(self.graph.diagnostics.get('player', {}).get('images per second', 0))

    def figures(self) -> dict:
        """The report, after the film was read as well."""
        with av.open(str(self.film)) as opened:
            assert sum(1 for _ in opened.decode(video=0)) > 10
        return json.loads(self.report.read_text())


class Screen:
    """An X server without a window manager, on a display of that number or any."""

    def __init__(self, *number: str):
        self.server = subprocess.Popen(
            ['Xvfb', *number, '-displayfd', '1', '-screen', '0', '800x600x24', '-nolisten', 'tcp'],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.environment = {**WITHOUT_DISPLAY, 'DISPLAY': f':{int(self.server.stdout.readline())}'}

    def call(self, *command) -> bytes:
        done = subprocess.run(command, env=self.environment, capture_output=True, timeout=60)
        return done.stdout if done.returncode == 0 else b''

    def seen(self) -> np.ndarray:
        """What is on the screen, (600, 800, 3) RGB."""
        return cv2.imdecode(np.frombuffer(self.call('import', '-window', 'root', 'png:-'), np.uint8), 1)[..., ::-1]

    def shows(self, colour: tuple) -> bool:
        """Whether half a picture of 512x512 has about that colour."""
        return abs((np.abs(self.seen().astype(int) - colour).max(axis=-1) < 12).sum() - 512 * 256) < 512 * 26

    def window(self) -> str:
        return self.call('xdotool', 'search', '--onlyvisible', '--name', '^lsp_ros$').decode().strip()

    def close(self) -> None:
        self.server.kill()
        self.server.wait()


class WaylandDesktop(Screen):
    """Weston, which asks programs for Wayland, as such desktops do, and has Xwayland for those that speak X11 alone."""

    def __init__(self, folder: Path):
        own = {**WITHOUT_DISPLAY, 'XDG_RUNTIME_DIR': str(folder)}
        log = folder / 'log'
        options = ['--backend=headless-backend.so', '--socket=desktop', f'--log={log}', '--no-config', '--xwayland']
        self.server = subprocess.Popen(['weston', *options], env=own)
        while not (log.exists() and (told := re.search(r'listening on display (:\d+)', log.read_text()))):
            assert self.server.poll() is None, 'weston ended'
            time.sleep(0.05)
        self.environment = {
            **own,
            'DISPLAY': told[1],
            'WAYLAND_DISPLAY': 'desktop',
            'XDG_SESSION_TYPE': 'wayland',
            'QT_QPA_PLATFORM': 'wayland',
        }

    def shows(self, colour: tuple) -> bool:
        """Whether about half the window has that colour; it may stand a little beyond the edge of the desktop."""
        window = self.window()
        picture = self.call('import', '-window', window, 'png:-') if window else b''
        if not picture:
            return False
        seen = cv2.imdecode(np.frombuffer(picture, np.uint8), 1)[..., ::-1]
        return 0.4 < (np.abs(seen.astype(int) - colour).max(axis=-1) < 12).mean() < 0.6


@pytest.fixture
def screen():
    made = Screen()
    yield made
    made.close()


@pytest.fixture
def wayland_desktop(tmp_path_factory):
    made = WaylandDesktop(tmp_path_factory.mktemp('desktop'))
    yield made
    made.close()


@pytest.mark.parametrize('variable', ['DISPLAY', 'WAYLAND_DISPLAY'])
def test_a_display_that_is_not_there_costs_the_window_alone(graph, variable):
    show = Show(graph, environment={**WITHOUT_DISPLAY, variable: ':4711'})
    show.until(lambda: 'no window' in show.player.said(), 'the missing window is not told')
    show.more()
    assert show.player.end() == 0
    assert ('trying again' in show.player.said()) == HAS_WINDOWS
    assert ('install Xwayland' in show.player.said()) == (HAS_WINDOWS and variable == 'WAYLAND_DISPLAY')
    assert show.figures()['offset_ms']['shown_late'] is None


def test_a_machine_without_a_display_is_no_trouble(graph):
    show = Show(graph, environment=WITHOUT_DISPLAY)
    show.until(lambda: 'no display: no window' in show.player.said(), 'the missing display is not told')
    show.more()
    assert show.player.end() == 0
    assert 'WARN' not in show.player.said()


@on_a_screen
def test_the_window_shows_the_picture_and_q_in_it_ends_the_player(graph, screen):
    show = Show(graph, environment=screen.environment)
    show.until(lambda: screen.shows(LEFT) and screen.shows(RIGHT), 'the picture is not on the screen')
    screen.call('xdotool', 'windowfocus', '--sync', screen.window())
    screen.call('xdotool', 'key', 'q')
    show.until(lambda: show.player.popen.poll() is not None, 'the player does not end')
    assert show.player.wait() == 0
    assert show.figures()['offset_ms']['shown_late']['median'] >= 0
    assert not screen.window()


@on_wayland
@on_a_screen
def test_a_wayland_desktop_shows_it_through_xwayland(graph, wayland_desktop):
    show = Show(graph, environment=wayland_desktop.environment)
    show.until(lambda: wayland_desktop.shows(LEFT) and wayland_desktop.shows(RIGHT), 'the picture is not on the screen')
    assert show.player.end() == 0
    assert 'WARN' not in show.player.said()


@on_a_screen
def test_a_display_that_goes_away_takes_the_window_alone_and_brings_it_back(graph, screen):
    show = Show(graph, environment=screen.environment)
    show.until(lambda: screen.shows(LEFT), 'the picture is not on the screen')
    screen.close()
    show.until(lambda: 'the window was lost' in show.player.said(), 'the lost window is not told')
    show.until(lambda: 'no window can be opened' in show.player.said(), 'it is not tried again')
    back = Screen(screen.environment['DISPLAY'])
    try:
        show.until(lambda: back.shows(LEFT) and back.shows(RIGHT), 'the picture does not come back')
        assert show.player.end() == 0
    finally:
        back.close()
    assert show.player.said().count('the window was lost') == 1
    assert show.player.said().count('there is a window again') == 1
    assert show.figures()['images']['received'] > 10


@on_a_screen
def test_a_window_may_fill_the_screen_and_stay_whatever_is_pressed(graph, screen):
    show = Show(graph, environment=screen.environment, full_screen=True, closable=False)

    def full():
        red, blue = (np.abs(screen.seen().astype(int) - colour).max(axis=-1) < 12 for colour in (LEFT, RIGHT))
        return red.any(axis=1).all() and blue.any(axis=1).all() and 0.9 < red.sum() / (600 * 300) < 1.1

    show.until(full, 'the picture does not fill the screen')
    screen.call('xdotool', 'windowfocus', '--sync', screen.window())
    screen.call('xdotool', 'key', 'q')
    screen.call('xdotool', 'key', 'Escape')
    show.more(60)
    assert full()
    assert show.player.popen.poll() is None
    assert show.player.end() == 0


@on_a_screen
def test_a_window_opens_where_it_is_told(graph, screen):
    show = Show(graph, environment=screen.environment, window_position='[250,60]')
    show.until(lambda: screen.shows(LEFT) and screen.shows(RIGHT), 'the picture is not on the screen')
    rows, columns = np.nonzero(np.abs(screen.seen().astype(int) - LEFT).max(axis=-1) < 12)
    assert (columns.min(), rows.min()) == (250, 60)
    assert show.player.end() == 0


def test_a_position_is_two_numbers(graph):
    player = graph.start('player', window_position='[5]')
    assert player.wait() == 1
    assert 'window_position is [5]: two numbers are needed' in player.said()


@on_a_screen
def test_a_clock_that_is_set_back_does_not_stop_the_picture(graph, screen):
    """As when a network finds out that a kiosk's own clock was a year ahead."""
    clock = graph.node.create_publisher(Clock, '/clock', 10)
    player = graph.start('player', environment=screen.environment, sound=False, use_sim_time=True)
    images = graph.publisher(Image, 'image', IMAGE_QOS)
    for start_ns, colour in ((2 * 10**18, LEFT), (10**18, RIGHT)):
        picture = np.full((512, 512, 3), colour, np.uint8)
        frames = itertools.count()

        def published(start_ns=start_ns, picture=picture, colour=colour, frames=frames):
            now = start_ns + next(frames) * timeline.NANOSECONDS_PER_SECOND // 30
            clock.publish(Clock(clock=header_at(now).stamp))
            # Always some are waiting.
            images.publish(image_to_message(picture, header_at(now + timeline.NANOSECONDS_PER_SECOND)))
            return (np.abs(screen.seen().astype(int) - colour).max(axis=-1) < 12).sum() > 500 * 500

        graph.until(published, f'{colour} is not on the screen')
    assert player.end() == 0


@on_a_screen
def test_no_window_outlives_its_player(graph, screen):
    show = Show(graph, environment=screen.environment)
    show.until(screen.window, 'no window')
    show.player.kill()
    graph.until(lambda: not screen.window(), 'the window stays')
