"""The player's window, in a process of its own; no ROS in it.

A toolkit that finds no display, or loses the one it has, ends its whole process. So it gets one that may be lost:
neither the sound nor a recording notices.

That process reads pictures from its standard input. It writes one byte when it has a window, and one for each picture
that is on the screen. It ends with status 0 when somebody closes the window or presses q or Escape in it.
"""

import contextlib
import os
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np

TITLE = 'lsp_ros'
HEADER = struct.Struct('<II')  # height and width of the RGB picture that follows
KEYS_THAT_CLOSE = (27, ord('q'))
SECONDS_BETWEEN_LOOKS = 0.005
CLOSED, NO_WINDOWS = 0, 3  # exit statuses


class Window:
    """Shows pictures as long as it can. ``is_open`` turns True once there is a window.

    shown    called with what came with each picture, when it is on the screen; in a thread of ours
    """

    def __init__(self, shown: Callable[[object], None]):
        # Not above: the window's own process imports this file too, and has no need of ROS messages.
        from lsp_ros.nodes.streams import Mailbox

        self.is_open = False
        self._shown = shown
        self._mailbox = Mailbox()
        # In a session of its own: Ctrl-C in a terminal is for the player, which then closes the window.
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'lsp_ros.nodes.window'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._feed, name='window', daemon=True)
        self._thread.start()

    @property
    def status(self) -> int | None:
        """None while the window lives, CLOSED by a person, NO_WINDOWS in this OpenCV, or how else it ended."""
        return self._process.poll()

    def show(self, picture: np.ndarray, label: object) -> None:
        """Show (height, width, 3) uint8 RGB; a picture that is not on its way yet makes room for it. Never waits."""
        self._mailbox.put((picture, label))

    def close(self) -> None:
        """Take the window away."""
        self._mailbox.close()
        self._process.kill()  # it has nothing to lose
        self._process.wait()
        self._thread.join()

    def _feed(self) -> None:
        into, answers = self._process.stdin, self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self.is_open = bool(answers.read(1))
            while self.is_open and (item := self._mailbox.take()) is not None:
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


def main() -> int:
    """The window's process; its exit status."""
    wanted = os.environ.get('QT_QPA_PLATFORM', 'xcb')
    if 'xcb' not in wanted:  # a Wayland desktop may ask for Wayland, but OpenCV's wheel brings Qt for X11 alone
        os.environ['QT_QPA_PLATFORM'] = f'{wanted};xcb'
    import cv2

    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a toolkit prints is no answer
    try:
        # The picture alone, without a toolbar; as large as a person makes it, but never distorted.
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
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
                if picture.shape != shape:
                    shape = picture.shape
                    cv2.resizeWindow(TITLE, shape[1], shape[0])
                cv2.imshow(TITLE, picture[..., ::-1].copy())
            key = cv2.waitKey(1)
            if key in KEYS_THAT_CLOSE or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
                return CLOSED
            if ready:
                os.write(answers, b'.')


def _read_picture(pictures) -> np.ndarray | None:
    """The next picture (height, width, 3) uint8 RGB; None at the end."""
    header = _read(pictures, HEADER.size)
    if header is None:
        return None
    height, width = HEADER.unpack(header)
    data = _read(pictures, height * width * 3)
    return None if data is None else np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _read(pictures, count: int) -> bytes | None:
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
        sys.exit(main())
