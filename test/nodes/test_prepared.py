"""What was loaded ahead is handed over once, and only where it is what is asked for."""

from lsp_ros.nodes.prepared import Prepared


def test_what_was_made_ahead_is_handed_over_once():
    prepared = Prepared()
    prepared.prepare('avatar', lambda: 'made ahead')
    assert prepared.take('avatar', lambda: 'made now') == 'made ahead'
    assert prepared.take('avatar', lambda: 'made now') == 'made now'


def test_what_is_not_asked_for_is_dropped():
    prepared = Prepared()
    prepared.prepare('avatar', lambda: 'made ahead')
    assert prepared.take('another', lambda: 'made now') == 'made now'
    assert prepared.take('avatar', lambda: 'made now') == 'made now'


def test_what_cannot_be_made_ahead_fails_when_it_is_asked_for():
    prepared = Prepared()
    prepared.prepare('avatar', lambda: 1 // 0)
    assert prepared.take('avatar', lambda: 'made now') == 'made now'
