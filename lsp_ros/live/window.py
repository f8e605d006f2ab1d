"""The player's window, in a process of its own.

A toolkit that finds no display, or loses the one it has, ends its whole process. So it gets one that may be lost:
neither the sound nor a recording notices.

That process reads pictures from its standard input. It writes one byte when it has a window, and one for each picture
that is on the screen. It ends with status 0 when somebody closes the window or presses q or Escape in it, where that is
allowed.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import IO, Any, Generic, TypeVar

import numpy as np

from lsp_ros.live.scheduling import LatestValue

TITLE = 'lsp_ros'
HEADER = struct.Struct('<II')  # height and width of the RGB picture that follows
KEYS_THAT_CLOSE = (27, ord('q'))
SECONDS_BETWEEN_LOOKS = 0.005
SMALL = 160, 120  # pixels
MILLISECONDS_TO_FILL_THE_SCREEN = 1000
CLOSED, NO_WINDOWS = 0, 3  # exit statuses

Label = TypeVar('Label')


@dataclass(frozen=True)
class Look:
    """How the window stands on the screen.

    full_screen  the picture fills the screen that the window is on, black beside it
    position     (x, y) of its corner in pixels of the desktop, which says on which screen; None: the desktop decides
    closable     False: keys do nothing, and a window that is closed opens again
    """

    full_screen: bool = False
    position: tuple[int, int] | None = None
    closable: bool = True

    def open(self, cv2: Any) -> None:
        # The picture alone, without a toolbar; as large as a person makes it, but never distorted.
        ratio = cv2.WINDOW_FREERATIO if self.full_screen else cv2.WINDOW_KEEPRATIO  # it would keep it with white beside
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | ratio | cv2.WINDOW_GUI_NORMAL)
        if self.position:
            cv2.moveWindow(TITLE, *self.position)
        if self.full_screen:
            self._fill_the_screen(cv2)

    def _fill_the_screen(self, cv2: Any) -> None:
        cv2.resizeWindow(TITLE, *SMALL)  # OpenCV remembers how large it was when it was closed
        cv2.waitKey(MILLISECONDS_TO_FILL_THE_SCREEN // 10)
        cv2.setWindowProperty(TITLE, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)
        for _ in range(10):
            cv2.waitKey(MILLISECONDS_TO_FILL_THE_SCREEN // 10)
            if cv2.getWindowImageRect(TITLE)[2] > 2 * SMALL[0]:
                return
        if size := display_size():
            cv2.resizeWindow(TITLE, *size)  # without a window manager nobody else does it

    def show(self, cv2: Any, picture: np.ndarray) -> None:
        """(height, width, 3) uint8 BGR."""
        if self.full_screen:
            height, width = picture.shape[:2]
            _, _, wide, high = cv2.getWindowImageRect(TITLE)
            if wide > 0 and high > 0:
                beside, above = max(0, height * wide // high - width), max(0, width * high // wide - height)
                edges = [(room // 2, room - room // 2) for room in (above, beside, 0)]
                picture = np.pad(picture, edges)
        cv2.imshow(TITLE, picture)


def display_size() -> tuple[int, int] | None:
    """Width and height of the whole X11 display in pixels."""
    try:
        x11 = ctypes.CDLL('libX11.so.6')
    except OSError:
        return None
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not display:
        return None
    screen = x11.XDefaultScreen(display)
    size = x11.XDisplayWidth(display, screen), x11.XDisplayHeight(display, screen)
    x11.XCloseDisplay(display)
    return size


class Window(Generic[Label]):
    """Shows pictures as long as it can. ``is_open`` turns True once there is a window.

    shown    called with what came with each picture, when it is on the screen; in a thread of ours
    quiet    what the toolkit says goes nowhere
    """

    def __init__(self, shown: Callable[[Label], None], look: Look = Look(), quiet: bool = False) -> None:
        self.is_open = False
        self._shown = shown
        self._pictures: LatestValue[tuple[np.ndarray, Label]] = LatestValue()
        # In a session of its own: Ctrl-C in a terminal is for the player, which then closes the window.
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'lsp_ros.live.window', json.dumps(asdict(look))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._feed, name='window', daemon=True)
        self._thread.start()

    @property
    def status(self) -> int | None:
        """None while the window lives, CLOSED by a person, NO_WINDOWS in this OpenCV, or how else it ended."""
        return self._process.poll()

    def show(self, picture: np.ndarray, label: Label) -> None:
        """Show (height, width, 3) uint8 RGB; a picture that is not on its way yet makes room for it. Never waits."""
        self._pictures.put((picture, label))

    def close(self) -> None:
        """Take the window away."""
        self._pictures.close()
        self._process.kill()  # it has nothing to lose
        self._process.wait()
        self._thread.join()

    def _feed(self) -> None:
        into, answers = self._process.stdin, self._process.stdout
        assert into and answers  # both are pipes
        with contextlib.suppress(BrokenPipeError):
            self.is_open = bool(answers.read(1))
            while self.is_open and (item := self._pictures.take()) is not None:
                picture, label = item
                into.write(HEADER.pack(*picture.shape[:2]))
                into.write(np.ascontiguousarray(picture).data)
                into.flush()
                if not answers.read(1):
                    break
                self._shown(label)
        for pipe in (into, answers):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def main(look: Look) -> int:
    """The window's process; its exit status."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # Qt aborts without a display, again and again
    wanted = os.environ.get('QT_QPA_PLATFORM', 'xcb')
    if 'xcb' not in wanted:  # a Wayland desktop may ask for Wayland, but OpenCV's wheel brings Qt for X11 alone
        os.environ['QT_QPA_PLATFORM'] = f'{wanted};xcb'
    import cv2

    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a toolkit prints is no answer
    try:
        look.open(cv2)
    except cv2.error:
        return NO_WINDOWS
    with open(0, 'rb', buffering=0) as pictures:
        os.write(answers, b'.')
        shape = None
        while True:
            ready, _, _ = select.select([pictures], [], [], SECONDS_BETWEEN_LOOKS)
            if ready:
                picture = _read_picture(pictures)
                if picture is None:  # the player is gone
                    return CLOSED
                if picture.shape != shape and not look.full_screen:
                    cv2.resizeWindow(TITLE, picture.shape[1], picture.shape[0])
                shape = picture.shape
                look.show(cv2, picture[..., ::-1].copy())
            key = cv2.waitKey(1)
            closed = _is_closed(cv2)
            if look.closable and (closed or key in KEYS_THAT_CLOSE):
                return CLOSED
            if closed:
                look.open(cv2)
                shape = None
            if ready:
                os.write(answers, b'.')


def _is_closed(cv2: Any) -> bool:
    try:
        return bool(cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1)
    except cv2.error:  # what OpenCV 5 says where the last window was closed
        return True


def _read_picture(pictures: IO[bytes]) -> np.ndarray | None:
    """The next picture (height, width, 3) uint8 RGB; None at the end."""
    header = _read(pictures, HEADER.size)
    if header is None:
        return None
    height, width = HEADER.unpack(header)
    data = _read(pictures, height * width * 3)
    return None if data is None else np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _read(pictures: IO[bytes], count: int) -> bytearray | None:
    """Exactly `count` bytes; None where the input ends before."""
    data = bytearray()
    while len(data) < count:
        piece = pictures.read(count - len(data))
        if not piece:
            return None
        data += piece
    return data


if __name__ == '__main__':
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main(Look(**json.loads(sys.argv[1]))))
