"""The agreement of the person shown: read, bound by hash to the footage and to the avatar, and checked again.

A consent file is YAML, written by whoever makes the avatar and kept with the signed paper:

    who: Ada Example
    purpose: guide in the town museum, on its kiosk and its web page
    until: 2028-12-31          # or null: until withdrawn
    means: a mail to avatar@museum.example ends it, and the files are deleted
    document: signed.pdf       # optional: the signed paper as a file beside this one

From it and the videos comes ``consent.json``, the record: the agreement and the SHA-256 of the file, of the document
and of every video. The record's own SHA-256 stands in dataset.yaml and avatar.yaml, so that neither footage nor
agreement can be exchanged unnoticed.
"""

import datetime
import hashlib
import json
from pathlib import Path

import yaml

from lsp_ros.avatar.manifest import AvatarError, Consent, as_mapping, read_section
from lsp_ros.capture.video import file_sha256

RECORD = 'consent.json'
FIELDS = ('who', 'purpose', 'until', 'means')


class ConsentError(ValueError):
    """A consent file or record that is wrong; one sentence."""


def bind(file: Path, footage: dict[str, str]) -> tuple[dict, str]:
    """The ``person.consent`` mapping of dataset.yaml and avatar.yaml, and the text of the record to keep.

    ``footage`` is {file name: SHA-256} of the videos. Raises ConsentError, also where the agreement has run out.
    """
    file = Path(file)
    if not file.is_file():
        raise ConsentError(f'{file}: there is no such file.')
    data = file.read_bytes()
    try:
        given = yaml.safe_load(data)
    except yaml.YAMLError:
        raise ConsentError(f'{file}: is not YAML.') from None
    if not isinstance(given, dict):
        raise ConsentError(f'{file}: must hold who, purpose, until and means.')
    document = given.pop('document', None)
    try:
        agreed = as_mapping(read_section(Consent, {**given, 'record_sha256': '0' * 64}))
    except AvatarError as error:
        raise ConsentError(f'{file}: {error}.') from None
    if agreed['until'] and datetime.date.fromisoformat(agreed['until']) < datetime.date.today():
        raise ConsentError(f'{file}: the consent ran out on {agreed["until"]}.')
    record = {
        'consent': {key: agreed[key] for key in FIELDS},
        'consent_file_sha256': hashlib.sha256(data).hexdigest(),
        'document_sha256': file_sha256(file.parent / str(document)) if document else None,
        'footage': dict(sorted(footage.items())),
    }
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + '\n'
    return {**record['consent'], 'record_sha256': hashlib.sha256(text.encode()).hexdigest()}, text


def check(record: Path, consent: dict, footage: dict[str, str] | None = None) -> None:
    """Whether a record is the one that ``person.consent`` names, and, if given, whether it covers the footage."""
    try:
        data = record.read_bytes()
    except OSError as error:
        raise ConsentError(f'{record}: cannot be read ({error.strerror}).') from None
    if hashlib.sha256(data).hexdigest() != consent['record_sha256']:
        raise ConsentError(f'{record}: is not the record that was agreed to: its SHA-256 is another.')
    written = json.loads(data)
    if any(written['consent'][key] != consent[key] for key in FIELDS):
        raise ConsentError(f'{record}: says something else than the manifest.')
    covered = set(written['footage'].values())
    for name, digest in (footage or {}).items():
        if digest not in covered:
            raise ConsentError(f'{name}: this footage is not part of the consent in {record}.')
