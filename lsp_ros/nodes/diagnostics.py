"""What a node counts and times, as messages on /diagnostics."""

import socket

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from lsp_ros.live.counters import CountersReport

# How a duration's name goes on in the keys.
MEDIAN, MAXIMUM = ' median ms', ' maximum ms'


def diagnostic_status(name: str, state: str, report: CountersReport, trouble: str | None) -> DiagnosticStatus:
    """The status of a node of that full name, which is 'unconfigured', 'inactive' or 'active'; ``trouble``: if any."""
    values = [('state', state)]
    values += [(f'{event} per second', f'{number / report.seconds:.1f}') for event, number in report.events.items()]
    for what, seconds in report.durations.items():
        values.append((what + MEDIAN, f'{1000 * float(np.median(seconds)):.1f}'))
        values.append((what + MAXIMUM, f'{1000 * max(seconds):.1f}'))
    values += [(counter, str(total)) for counter, total in report.totals.items()]
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if trouble else DiagnosticStatus.OK,
        name=name.lstrip('/'),
        message=trouble or ('running' if state == 'active' else state),
        hardware_id=f'{socket.gethostname()}: {name.lstrip("/")}',
        values=[KeyValue(key=key, value=value) for key, value in values],
    )
