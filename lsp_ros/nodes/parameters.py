"""Parameters of the nodes as ROS declares them: descriptors, ranges and checks."""

import math
from dataclasses import dataclass

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor


@dataclass(frozen=True)
class Parameter:
    """One row of a node's parameter table: its documentation and its validation.

    ``live`` parameters may change while the node runs; the others only while it is not configured.
    """

    name: str
    default: bool | int | float | str | list[str]
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple = ()
    live: bool = False

    def descriptor(self) -> ParameterDescriptor:
        descriptor = ParameterDescriptor(description=self.description)
        if self.choices:
            descriptor.additional_constraints = f'one of {", ".join(str(choice) for choice in self.choices)}'
        if self.low is not None and isinstance(self.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=self.low, to_value=self.high)]
        elif self.low is not None:
            descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self.high))]
        return descriptor

    def check(self, value) -> None:
        """Raise ValueError for what a descriptor's range does not catch."""
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f'parameter {self.name} is {value}: a finite number is needed')
        if self.choices and value not in self.choices:
            raise ValueError(f'parameter {self.name} is {value!r}: {", ".join(map(str, self.choices))} are allowed')


AUTOSTART = Parameter('autostart', True, 'configure and activate by itself; false leaves that to a lifecycle manager')
AVATAR = Parameter('avatar', 'presenter', 'the avatar: a folder, or the name of a built-in one')
