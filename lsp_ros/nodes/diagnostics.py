"""What a node counts and times, as messages on /diagnostics."""

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from lsp_ros.live.counters import CountersReport

# How a duration's name goes on in the keys.
MEDIAN, MAXIMUM = ' median ms', ' maximum ms'


def diagnostic_status(name: str, state: str, report: CountersReport) -> DiagnosticStatus:
    """The status of a node of that full name, which is 'unconfigured', 'inactive' or 'active'."""
    values = [('state', state)]
    values += [(f'{event} per second', f'{number / report.seconds:.1f}') for event, number in report.events.items()]
    for what, seconds in report.durations.items():
        values.append((what + MEDIAN, f'{1000 * float(np.median(seconds)):.1f}'))
        values.append((what + MAXIMUM, f'{1000 * max(seconds):.1f}'))
    values += [(counter, str(total)) for counter, total in report.totals.items()]
    message = 'running' if state == 'active' else state
    if report.problems:
        message = f'{report.problems} troubles in the last second'
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if report.problems else DiagnosticStatus.OK,
        name=name.lstrip('/'),
        message=message,
        hardware_id='lsp_ros',
        values=[KeyValue(key=key, value=value) for key, value in values],
    )
