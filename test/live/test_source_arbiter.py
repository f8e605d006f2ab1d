"""Two sources on one topic."""

from lsp_ros.live.source_arbiter import SourceArbiter


def test_of_two_sources_the_newer_is_followed_until_it_ends():
    source = SourceArbiter()
    assert source.accepts('first', 0.0) and source.accepts('first', 1.0)
    assert source.accepts('second', 1.01)  # a source that was started again
    for number in range(100):
        now = 1.02 + number / 60
        assert not source.accepts('first', now) and source.accepts('second', now + 0.005)
    assert not source.accepts('first', now + 0.2)
    assert source.accepts('first', now + 0.5) and source.accepts('first', now + 0.52)
    assert source.accepts('third', now + 0.53) and not source.accepts('second', now + 0.54)
