"""The settings of a node as ROS declares them: parameters with descriptors."""

from dataclasses import dataclass, fields

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from lsp_ros.graph.configuration import Setting, setting, settings_of

CHANGES_LIVE = 'may change while the node runs'
CHANGES_UNCONFIGURED = 'may change only while the node is not configured'


@dataclass(frozen=True)
class Parameter(Setting):
    """A row of the table of settings (``graph/configuration.py``) as a parameter of a node."""

    def descriptor(self) -> ParameterDescriptor:
        """What ``ros2 param describe`` shows: the meaning, the range, and when the parameter may change."""
        constraints = [f'one of {", ".join(map(str, self.choices))}'] if self.choices else []
        constraints.append(CHANGES_LIVE if self.live else CHANGES_UNCONFIGURED)
        descriptor = ParameterDescriptor(description=self.description, additional_constraints='; '.join(constraints))
        if self.low is not None and self.high is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [FloatingPointRange(from_value=self.low, to_value=self.high)]
            else:
                descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self.high))]
        return descriptor


def parameters_of(node: str) -> tuple[Parameter, ...]:
    """The parameters of one node by its name, without ``autostart``, which every node has."""
    return tuple(_parameter(row) for row in settings_of(node) if row.name != AUTOSTART.name)


def _parameter(row: Setting) -> Parameter:
    return Parameter(**{field.name: getattr(row, field.name) for field in fields(row)})


AUTOSTART = _parameter(setting('autostart'))
AVATAR = _parameter(setting('avatar'))
