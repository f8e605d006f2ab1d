"""What is counted and timed."""

from lsp_ros.live.counters import Counters


def test_counters_tell_rates_and_durations_since_the_last_report_and_totals_since_ever():
    counters = Counters(now=10.0)
    counters.count('cancels')
    counters.count_event('frames')
    counters.record_duration('computing', 0.25)
    assert counters.count_problem('lost samples', 3) == 3
    report = counters.report(now=12.0)
    assert (report.seconds, report.problems) == (2.0, 3)
    assert report.events == {'frames': 1} and report.durations == {'computing': [0.25]}
    assert report.totals == {'cancels': 1, 'lost samples': 3}
    assert counters.count_problem('lost samples') == 4
    report = counters.report(now=13.0)
    assert (report.seconds, report.problems) == (1.0, 1)
    assert report.events == {'frames': 0} and report.durations == {}  # a rate that falls to 0 is told
    assert report.totals == {'cancels': 1, 'lost samples': 4}
