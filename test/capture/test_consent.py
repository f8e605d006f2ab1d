"""An agreement is bound to the footage it was given for."""

import datetime

import pytest

from lsp_ros.capture.consent import ConsentError, bind, check

AGREEMENT = """
who: Ada Example
purpose: guide in the town museum
until: {until}
means: a mail to avatar@museum.example
"""
FOOTAGE = {'a.mp4': 'a' * 64, 'b.mp4': 'b' * 64}


@pytest.fixture
def agreement(tmp_path):
    file = tmp_path / 'consent.yaml'
    file.write_text(AGREEMENT.format(until='2999-12-31'))
    return file


def test_the_record_covers_its_footage_and_nothing_else(agreement, tmp_path):
    consent, text = bind(agreement, FOOTAGE)
    assert (consent['who'], consent['until']) == ('Ada Example', '2999-12-31')
    record = tmp_path / 'consent.json'
    record.write_text(text)
    check(record, consent, FOOTAGE)
    with pytest.raises(ConsentError, match='c.mp4: this footage is not part'):
        check(record, consent, {'c.mp4': 'c' * 64})


def test_a_record_that_was_changed_is_found_out(agreement, tmp_path):
    consent, text = bind(agreement, FOOTAGE)
    record = tmp_path / 'consent.json'
    record.write_text(text.replace('town museum', 'casino'))
    with pytest.raises(ConsentError, match='SHA-256 is another'):
        check(record, consent)


def test_other_footage_or_another_document_is_another_record(agreement, tmp_path):
    first, _ = bind(agreement, FOOTAGE)
    other, _ = bind(agreement, {'a.mp4': 'c' * 64})
    (tmp_path / 'signed.pdf').write_bytes(b'signed')
    agreement.write_text(agreement.read_text() + 'document: signed.pdf\n')
    signed, text = bind(agreement, FOOTAGE)
    assert len({first['record_sha256'], other['record_sha256'], signed['record_sha256']}) == 3
    assert '"document_sha256": null' not in text


@pytest.mark.parametrize('text,message', [
    (AGREEMENT.format(until=datetime.date.today() - datetime.timedelta(days=1)), 'ran out'),
    (AGREEMENT.format(until='soon'), 'until must be a date'),
    ('who: Ada', 'purpose is missing'),
    ('just words', 'must hold who'),
    ('{', 'is not YAML'),
    (AGREEMENT.format(until='null') + 'document: gone.pdf', 'gone.pdf'),
])
def test_what_is_wrong_with_an_agreement_is_said(tmp_path, text, message):
    file = tmp_path / 'consent.yaml'
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        bind(file, FOOTAGE)
