"""Head-pose commands: other programs take the head over and give it back, without a jump either way.

What is shown is always  target + residual.  The target is the avatar's own pose (autonomous), the commanded
pose (absolute), or the own pose turned by the command (offset). Whenever the target changes, the residual
takes up the difference in position and speed and runs out along a minimum-jerk curve: so a command may come
at any moment, also in the middle of a transition or sixty times a second.
"""

from dataclasses import dataclass, field

import numpy as np

from lsp_ros.geometry import euler_to_quaternion, pose_from_rep103, quaternion_product, quaternion_to_euler
from lsp_ros.motion.pose_limits import PoseLimits
from lsp_ros.signals import HeadPoseCommand, HeadSource, PoseMode
from lsp_ros.timeline import FRAME_RATE

LARGEST_TRANSLATION = 1.0  # metres; nobody's head does that, so it is a mistake (millimetres?), not a wish
LONGEST_TRANSITION = 60.0  # seconds
MOST_PENDING = 1000
PEAK_SPEED = 1.875  # of a minimum-jerk move from 0 to 1 in unit time


def check_command(command: HeadPoseCommand) -> None:
    """ValueError with a sentence that says what is wrong with a command; an autonomous one carries no pose."""
    if command.mode not in list(PoseMode):
        raise ValueError(f'head-pose command mode is {command.mode!r}, allowed are 0 autonomous, 1 absolute, 2 offset')
    for name, seconds in (('transition time', command.transition), ('time-out', command.timeout)):
        if not np.isfinite(seconds) or seconds < 0:
            raise ValueError(f'head-pose command {name} is {seconds} s, it must be a finite number from 0 up')
    if command.transition > LONGEST_TRANSITION:
        raise ValueError(
            f'head-pose command transition time is {command.transition} s, at most {LONGEST_TRANSITION:g} s are allowed'
        )
    if command.mode == PoseMode.AUTONOMOUS:
        return
    orientation, translation = np.asarray(command.orientation, float), np.asarray(command.translation, float)
    if orientation.shape != (4,) or not np.isfinite(orientation).all():
        raise ValueError(f'head-pose command orientation is {command.orientation}, it must be four finite numbers')
    if np.linalg.norm(orientation) < 1e-3:
        raise ValueError('head-pose command orientation is the zero quaternion; looking straight ahead is (0, 0, 0, 1)')
    if translation.shape != (3,) or not np.isfinite(translation).all():
        raise ValueError(f'head-pose command translation is {command.translation}, it must be three finite numbers')
    if np.abs(translation).max() > LARGEST_TRANSLATION:
        raise ValueError(
            f'head-pose command translation is {command.translation} m, at most {LARGEST_TRANSLATION:g} m are allowed'
        )


@dataclass
class _Order:
    """A checked command in the avatar's own terms."""

    mode: PoseMode = PoseMode.AUTONOMOUS
    pose: np.ndarray = field(default_factory=lambda: np.zeros(6))  # euler degrees, translation units from the mean
    transition: int = 0  # frames
    timeout: int = 0  # frames; 0: none


class HeadPoseControl:
    """Who moves the head: follows commands, blends, clamps, and returns control after a time-out.

    Poses are (6,): euler angles in degrees and translation from the mean in units, as shown. They are blended
    number by number: the trained range is a box of these numbers, so every blend of two allowed poses is
    allowed too, which no rotation along a great circle guarantees.
    """

    def __init__(self, limits: PoseLimits, metres_per_unit: float) -> None:
        self._limits = limits
        self._metres_per_unit = metres_per_unit
        self._pending: list[tuple[int, _Order]] = []
        self._order = _Order()
        self._expires: int | None = None
        self._own: np.ndarray | None = None  # the avatar's own pose one frame ago
        self._shown: np.ndarray | None = None
        # The residual's polynomial: its value, speed and acceleration at its start, per whole transition.
        self._residual = np.zeros((3, 6))
        self._start = 0
        self._length = 0
        # After an absolute command the own pose is let go as slowly as the transition says: it was held by
        # the command, and may be in a hurry to get back.
        self._leash: np.ndarray | None = None

    @property
    def absolute(self) -> bool:
        """True while the commanded pose replaces the avatar's own."""
        return self._order.mode == PoseMode.ABSOLUTE

    def command(self, command: HeadPoseCommand, frame: int) -> None:
        """Take a command over from ``frame`` on, or at once where that has passed. ValueError for a bad one."""
        check_command(command)
        if len(self._pending) >= MOST_PENDING:
            raise ValueError(f'{MOST_PENDING} head-pose commands wait for their frame already, no more are taken')
        pose = np.zeros(6)
        if command.mode != PoseMode.AUTONOMOUS:
            pose = np.concatenate(pose_from_rep103(command.orientation, command.translation, self._metres_per_unit))
        frames = [round(seconds * FRAME_RATE) for seconds in (command.transition, command.timeout)]
        if command.timeout > 0:
            frames[1] = max(frames[1], 1)
        self._pending.append((frame, _Order(PoseMode(command.mode), pose, *frames)))
        self._pending.sort(key=lambda item: item[0])  # stable: of one frame, the last one given wins

    def step(self, frame: int, own: np.ndarray) -> tuple[np.ndarray, HeadSource, bool]:
        """The avatar's own pose (6,) of a frame -> (pose to show (6,), who moves it, clamped)."""
        own = self._let_go(frame, own)
        before = own if self._own is None else self._own
        while self._pending and self._pending[0][0] <= frame:
            self._switch(self._pending.pop(0)[1], frame, own, before)
            before = own if self._leash is not None else before
        if self._expires is not None and frame >= self._expires:
            self._switch(_Order(transition=self._order.transition), frame, own, before)
        wanted = self._unbounded_target(own)
        target = self._bounded(wanted)
        clamped = bool((np.abs(wanted - target) > 1e-6).any())
        shown = target + self._residual_at(frame)[0]
        # The curve keeps to the head's speed on its own, unless the target itself runs away from it.
        if self._shown is not None:
            most = 2 * self._limits.speed
            shown = np.minimum(np.maximum(shown, self._shown - most), self._shown + most)
        shown = self._bounded(shown)
        self._own, self._shown = own, shown
        if frame < self._start + self._length:
            return shown, HeadSource.TRANSITION, clamped
        source = HeadSource.AUTONOMOUS if self._order.mode == PoseMode.AUTONOMOUS else HeadSource.COMMAND
        return shown, source, clamped

    def _let_go(self, frame: int, own: np.ndarray) -> np.ndarray:
        """The avatar's own pose, at first held where an absolute command has left it."""
        if self._leash is None:
            return own
        s = (frame - self._start) / self._length if frame < self._start + self._length else 1.0
        if s == 1:
            self._leash = None
            return own
        return self._leash + s**3 * (10 - 15 * s + 6 * s * s) * (own - self._leash)

    def _unbounded_target(self, own: np.ndarray) -> np.ndarray:
        if self._order.mode == PoseMode.AUTONOMOUS:
            return own
        if self._order.mode == PoseMode.ABSOLUTE:
            return self._order.pose
        # An offset turns the head about its own axes: a nod stays a nod where the head is turned aside.
        turned = quaternion_product(euler_to_quaternion(own[:3]), euler_to_quaternion(self._order.pose[:3]))
        return np.concatenate([quaternion_to_euler(turned), own[3:] + self._order.pose[3:]])

    def _target(self, own: np.ndarray) -> np.ndarray:
        return self._bounded(self._unbounded_target(own))

    def _bounded(self, pose: np.ndarray) -> np.ndarray:
        return self._limits.clip(pose)

    def _residual_at(self, frame: int) -> np.ndarray:
        """(3, 6): the residual, its speed per frame and its acceleration per frame squared."""
        if frame >= self._start + self._length:
            return np.zeros((3, 6))
        n = self._length
        s = (frame - self._start) / n
        basis = np.array(
            [
                [1 - 10 * s**3 + 15 * s**4 - 6 * s**5, s - 6 * s**3 + 8 * s**4 - 3 * s**5,
                 0.5 * s**2 - 1.5 * s**3 + 1.5 * s**4 - 0.5 * s**5],
                [-30 * s**2 + 60 * s**3 - 30 * s**4, 1 - 18 * s**2 + 32 * s**3 - 15 * s**4,
                 s - 4.5 * s**2 + 6 * s**3 - 2.5 * s**4],
                [-60 * s + 180 * s**2 - 120 * s**3, -36 * s + 96 * s**2 - 60 * s**3,
                 1 - 9 * s + 18 * s**2 - 10 * s**3],
            ]
        )  # fmt: skip
        return (basis @ self._residual) / np.array([[1.0], [n], [n * n]])

    def _switch(self, order: _Order, frame: int, own: np.ndarray, before: np.ndarray) -> None:
        """Exchange the target, so that this frame's pose and its speed stay what they were going to be."""
        running = frame < self._start + self._length
        if order.mode == self._order.mode == PoseMode.AUTONOMOUS and not running:
            return
        position, speed, acceleration = self._residual_at(frame)
        old, old_before = self._target(own), self._target(before)
        pose = self._bounded(old + position)
        speed = speed + old - old_before
        if self._shown is not None:  # a clamped head stands, whatever the curve behind it does
            stuck = pose != old + position
            speed, acceleration = np.where(stuck, 0, speed), np.where(stuck, 0, acceleration)
        leashed = order.mode != PoseMode.ABSOLUTE and (self.absolute or self._leash is not None)
        self._leash = own if leashed else None
        self._order = order
        self._expires = frame + order.timeout if order.timeout else None
        gap = pose - self._target(own)
        if not leashed:
            speed = speed - (self._target(own) - self._target(before))
        limit = np.maximum(self._limits.speed, 1e-9)
        shortest = int(np.ceil(np.max(PEAK_SPEED * np.abs(gap) / limit)))
        self._start, self._length = frame, max(order.transition, shortest)
        n = self._length
        self._residual = np.stack([gap, speed * n, acceleration * n * n])
