"""The rule by which a node is started again, without processes: it is told what happened, and when."""

import signal

import pytest

from lsp_ros.graph.policy import MOST_QUICK_FAILURES, QUICK_SECONDS, RestartPolicy, Verdict
from lsp_ros.graph.process_lifetime import FINISHED


def lives(policy: RestartPolicy, began: float, seconds: float, status: int):
    """What the policy says of a life of that length."""
    policy.started(began)
    return policy.ended(status, began + seconds)


def test_a_node_that_has_finished_its_work_ends_the_graph():
    assert lives(RestartPolicy(), 0, 1, FINISHED).verdict is Verdict.FINISH


@pytest.mark.parametrize('status', [0, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP])
def test_a_node_that_somebody_ended_is_started_again_however_often(status):
    policy = RestartPolicy()
    for life in range(20):
        decision = lives(policy, 2 * life, 0.5, status)
        assert decision.verdict is Verdict.RESTART
        assert decision.how == 'was asked to end by somebody else'
        assert decision.failures == 0


@pytest.mark.parametrize(
    ('status', 'how'), [(1, 'ended with status 1'), (-signal.SIGSEGV, f'was killed by signal {signal.SIGSEGV:d}')]
)
def test_a_node_that_fails_three_times_in_a_row_so_soon_ends_the_graph(status, how):
    policy = RestartPolicy()
    decisions = [lives(policy, 10 * life, 5, status) for life in range(MOST_QUICK_FAILURES)]
    assert [decision.verdict for decision in decisions] == [Verdict.RESTART, Verdict.RESTART, Verdict.GIVE_UP]
    assert [decision.failures for decision in decisions] == [1, 2, 3]
    assert all(decision.how == how for decision in decisions)


def test_a_node_that_ran_for_a_while_begins_to_count_anew():
    policy, now = RestartPolicy(), 0.0
    for _ in range(10):
        for seconds in (1.0, QUICK_SECONDS):  # exactly so long is no longer quick
            decision = lives(policy, now, seconds, 1)
            now += seconds + 1
            assert decision.verdict is Verdict.RESTART
    assert decision.failures == 1


def test_who_is_asked_to_end_between_two_failures_has_still_failed():
    policy = RestartPolicy()
    verdicts = [lives(policy, 2 * life, 1, status).verdict for life, status in enumerate((1, 0, 1, -signal.SIGTERM, 1))]
    assert verdicts == [Verdict.RESTART] * 4 + [Verdict.GIVE_UP]


def test_a_process_whose_start_nobody_told_has_not_failed_quickly():
    policy = RestartPolicy()
    assert {policy.ended(1, life).verdict for life in range(9)} == {Verdict.RESTART}


def test_the_first_start_is_at_once_and_further_ones_wait_twice_as_long_each():
    policy, now, waited = RestartPolicy(), 0.0, []
    for _ in range(10):
        decision = lives(policy, now, 1.0, 0)
        now += 1.0 + decision.seconds
        waited.append(decision.seconds)
    assert waited == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert lives(policy, now, QUICK_SECONDS, 0).seconds == 0


def test_a_part_of_somebodys_program_never_gives_up_because_it_was_killed():
    policy, now, waited = RestartPolicy(gives_up_when_killed=False), 0.0, []
    for _ in range(5):
        decision = lives(policy, now, 1.0, -signal.SIGKILL)
        assert decision.verdict is Verdict.RESTART and decision.how == 'was killed by signal 9'
        now += 1.0 + decision.seconds
        waited.append(decision.seconds)
    assert waited == [0, 1, 2, 4, 8]
    verdicts = [lives(policy, now, 1.0, 1).verdict for _ in range(MOST_QUICK_FAILURES)]
    assert verdicts == [Verdict.RESTART, Verdict.RESTART, Verdict.GIVE_UP]
