"""An agreement is bound to the footage it was given for."""

import datetime

import numpy as np
import pytest
import yaml
from synthetic_dataset import write_synthetic

from lsp_ros.avatar.consent import ConsentError
from lsp_ros.avatar.load import Avatar
from lsp_ros.capture.consent import bind, check
from lsp_ros.cli.main import main
from lsp_ros.training.assemble import build_avatar
from lsp_ros.training.fine_tune import give_once
from lsp_ros.training.recipes import CONFIGS

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


@pytest.mark.parametrize(
    'text,message',
    [
        (AGREEMENT.format(until=datetime.date.today() - datetime.timedelta(days=1)), 'ran out'),
        (AGREEMENT.format(until='soon'), 'until must be a date'),
        ('who: Ada', 'purpose is missing'),
        ('just words', 'must hold who'),
        ('{', 'is not YAML'),
        (AGREEMENT.format(until='null') + 'document: gone.pdf', 'gone.pdf'),
    ],
)
def test_what_is_wrong_with_an_agreement_is_said(tmp_path, text, message):
    file = tmp_path / 'consent.yaml'
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        bind(file, FOOTAGE)


def built(tiny_avatar, tmp_path, agreement, videos) -> Avatar:
    """The avatar that a training of a dataset of FOOTAGE, whose manifest names ``videos``, leaves."""
    consent, text = bind(agreement, FOOTAGE)
    dataset = write_synthetic(
        tmp_path / 'dataset', person={'kind': 'real', 'consent': consent}, capture={'videos': videos}
    )
    (dataset / 'consent.json').write_text(text)
    known, run = Avatar.load(tiny_avatar), tmp_path / 'run'
    for network in CONFIGS:
        give_once(known, network, run)
    np.save(run / 'manifold.npy', known.manifold())
    np.save(run / 'renderer' / 'candidates.npy', known.candidates())
    build_avatar(run, dataset, tmp_path / 'avatar', 'live')
    return Avatar.load(tmp_path / 'avatar')


def test_the_agreement_goes_with_the_trained_avatar_and_names_its_footage(tiny_avatar, tmp_path, agreement):
    avatar = built(tiny_avatar, tmp_path, agreement, FOOTAGE)
    assert avatar.unconsented is None
    assert set(avatar.footage.values()) == set(FOOTAGE.values())


def test_an_avatar_of_footage_that_was_not_agreed_to_is_unconsented(tiny_avatar, tmp_path, agreement):
    assert 'not part of the consent' in built(tiny_avatar, tmp_path, agreement, {'c.mp4': 'c' * 64}).unconsented


def test_the_command_puts_an_agreement_into_an_avatar_and_the_check_tells_it(tiny_avatar_copy, agreement, capsys):
    command = ['avatar', 'consent', str(tiny_avatar_copy), str(agreement)]

    def told() -> str:
        assert main(['avatar', 'check', str(tiny_avatar_copy)]) == 0
        return ' '.join(capsys.readouterr().out.replace('│', ' ').split())

    assert main(command) == 2
    assert 'computer-generated' in capsys.readouterr().err
    manifest = tiny_avatar_copy / 'avatar.yaml'
    mapping = yaml.safe_load(manifest.read_text())
    manifest.write_text(yaml.safe_dump({**mapping, 'person': {'kind': 'real', 'consent': None}}))
    assert 'NONE ON RECORD' in told()
    assert main(command) == 0
    assert Avatar.load(tiny_avatar_copy).consented
    assert 'Ada Example, for guide in the town museum' in told()
    (tiny_avatar_copy / 'consent.json').write_text('{}')
    assert 'NOT CONSENTED' in told()
