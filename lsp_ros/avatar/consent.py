"""The record of a person's agreement, ``consent.json``, beside the manifest that names its SHA-256.

    {"consent": {"who": ..., "purpose": ..., "until": ..., "means": ...},
     "consent_file_sha256": ..., "document_sha256": ... or null, "footage": {name: SHA-256}}

It is made by :mod:`lsp_ros.capture.consent`. That record, manifest and footage belong together is checked whenever it
is asked whether the person agreed (``Avatar.consented``). This finds a record that was exchanged, edited or copied from
another person's avatar; it is no signature, and cannot find who writes a new record and a manifest to fit.
"""

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_ros.avatar.manifest import AvatarError, Consent
from lsp_ros.storage import sha256

RECORD = 'consent.json'
FIELDS = ('who', 'purpose', 'until', 'means')


class ConsentError(AvatarError):
    """A consent file or record that is wrong; one sentence."""


def check_record(record: Path, consent: Consent, footage: Mapping[str, str]) -> None:
    """Whether a record is the one that the manifest's ``person.consent`` names, and covers all footage {name: SHA-256}.

    Raises ConsentError.
    """
    try:
        data = record.read_bytes()
    except FileNotFoundError:
        raise ConsentError(f'{record}: the record is missing.') from None
    except OSError as error:
        raise ConsentError(f'{record}: cannot be read ({error.strerror}).') from None
    if sha256(data) != consent.record_sha256:
        raise ConsentError(f'{record}: is not the record that was agreed to: its SHA-256 is another.')
    try:
        written = json.loads(data)
        agreed = {key: written['consent'][key] for key in FIELDS}
        covered = set(written['footage'].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConsentError(f'{record}: is not a record of an agreement.') from None
    if agreed != {key: getattr(consent, key) for key in FIELDS}:
        raise ConsentError(f'{record}: says something else than the manifest.')
    for name, digest in footage.items():
        if digest not in covered:
            raise ConsentError(f'{name}: this footage is not part of the consent in {record}.')


def ran_out(until: str | None) -> bool:
    """Whether an agreement's last day (YYYY-MM-DD; None: until withdrawn) has passed."""
    return until is not None and datetime.date.today() > datetime.date.fromisoformat(until)


def record_text(
    consent: Mapping[str, Any], consent_file: bytes, document_sha256: str | None, footage: Mapping[str, str]
) -> str:
    """The text of a record; ``consent`` with at least who, purpose, until and means."""
    record = {
        'consent': {key: consent[key] for key in FIELDS},
        'consent_file_sha256': sha256(consent_file),
        'document_sha256': document_sha256,
        'footage': dict(sorted(footage.items())),
    }
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + '\n'
