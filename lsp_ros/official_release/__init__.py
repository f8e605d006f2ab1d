"""The authors' released avatars: their data folder in, an ordinary avatar folder out.

    <folder>/data/APC_epoch_160.model            the speech network of all subjects
    <folder>/data/<ID>/checkpoints/*.pkl         mouth, head pose and renderer of one subject
    <folder>/data/<ID>/*.npy, *.npz, *.mat, ...  the person
    <folder>/config/<ID>.yaml                    the person's settings

Reading is strict where the authors' program is not: every tensor is accounted for, nothing is unpickled
but tensors, and what does not fit is said in one sentence that names file and key. What the release does
differently from the paper becomes values of the manifest; nothing that runs knows where an avatar came from.
"""

from lsp_ros.official_release.checkpoints import expected_tensors, read_network
from lsp_ros.official_release.files import ReleaseError
from lsp_ros.official_release.person import picture_offset
from lsp_ros.official_release.release import Imported, describe, import_release

__all__ = [
    'Imported',
    'ReleaseError',
    'describe',
    'expected_tensors',
    'import_release',
    'picture_offset',
    'read_network',
]
