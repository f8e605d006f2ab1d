"""When a trouble is told, and for how long it counts."""

from lsp_ros.live.troubles import LONGEST_INTERVAL, SECONDS_TO_FORGET, SECONDS_TO_RECOVER, Troubles

HOUR = 3600


def test_what_happens_again_and_again_is_told_at_growing_intervals():
    troubles = Troubles()
    told = [second for second in range(24 * HOUR) if troubles.happened('odd', second)]
    gaps = [after - before for before, after in zip(told, told[1:], strict=False)]
    assert gaps[:4] == [5, 10, 20, 40]
    assert gaps == sorted(gaps) and gaps[-1] == LONGEST_INTERVAL
    assert len(told) < 40


def test_what_has_not_happened_for_a_while_is_told_at_once():
    troubles = Troubles()
    assert troubles.happened('odd', 0)
    assert not troubles.happened('odd', 1)
    assert troubles.happened('other', 1)
    assert troubles.happened('odd', 1 + SECONDS_TO_FORGET)


def test_a_state_that_lasts_is_told_once_and_then_hourly():
    troubles = Troubles()
    seen = [troubles.lasts('no sound', 'there is none', second) for second in range(0, 3 * HOUR, 2)]
    assert [2 * row for row, tell in enumerate(seen) if tell] == [0, HOUR, 2 * HOUR]


def test_a_state_whose_reason_comes_and_goes_tells_each_reason_once():
    troubles = Troubles()
    told = [troubles.lasts('no sound', ('none', 'busy')[second % 2], second) for second in range(HOUR // 2)]
    assert told.count(True) == 2 and told[:2] == [True, True]


def test_a_state_that_ended_is_told_when_it_begins_anew():
    troubles = Troubles()
    troubles.lasts('no sound', 'there is none', 0)
    troubles.ended('no sound')
    troubles.ended('no sound')
    assert troubles.sentence(1) is None
    assert troubles.lasts('no sound', 'there is none', 2)


def test_whether_all_is_well_does_not_flap():
    troubles = Troubles()
    well = []
    for second in range(100):
        if second % 6 == 0 and second < 60:
            troubles.happened('odd', second)
        well.append(troubles.sentence(second + 0.5) is None)
    changes = sum(before != after for before, after in zip(well, well[1:], strict=False))
    assert not well[0] and well[-1] and changes == 1
    assert well.index(True) == 54 + SECONDS_TO_RECOVER
