"""The agreement of the person shown: read, bound by hash to the footage and to the avatar, and checked again.

A consent file is YAML, written by whoever makes the avatar and kept with the signed paper:

    who: Ada Example
    purpose: guide in the town museum, on its kiosk and its web page
    until: 2028-12-31          # or null: until withdrawn
    means: a mail to avatar@museum.example ends it, and the files are deleted
    document: signed.pdf       # optional: the signed paper as a file beside this one

From it and the videos comes ``consent.json``, the record (:mod:`lsp_ros.avatar.consent`): the agreement and the
SHA-256 of the file, of the document and of every video. The record's own SHA-256 stands in dataset.yaml and
avatar.yaml, beside those of the videos, and that they belong together is checked whenever the consent is asked for.
"""

from pathlib import Path
from typing import Any

import yaml

from lsp_ros.avatar.consent import FIELDS, RECORD, ConsentError, check_record, ran_out, record_text
from lsp_ros.avatar.manifest import AvatarError, Consent, read_section
from lsp_ros.capture.video import file_sha256
from lsp_ros.storage import sha256
from lsp_ros.validation import as_mapping

__all__ = ['FIELDS', 'RECORD', 'ConsentError', 'bind', 'check']


def bind(file: Path, footage: dict[str, str]) -> tuple[dict[str, Any], str]:
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
    if ran_out(agreed['until']):
        raise ConsentError(f'{file}: the consent ran out on {agreed["until"]}.')
    signed = file_sha256(file.parent / str(document)) if document else None
    text = record_text(agreed, data, signed, footage)
    return {**{key: agreed[key] for key in FIELDS}, 'record_sha256': sha256(text)}, text


def check(record: Path, consent: dict[str, Any], footage: dict[str, str] | None = None) -> None:
    """Whether a record is the one that ``person.consent`` names, and, if given, whether it covers the footage.

    Raises ConsentError.
    """
    check_record(record, read_section(Consent, consent, 'person.consent'), footage or {})
