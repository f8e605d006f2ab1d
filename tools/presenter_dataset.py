"""Turn the synthetic presenter's ground truth into a dataset folder (docs/training.md).

    python tools/presenter_dataset.py PRESENTER_FOLDER OUT_FOLDER

PRESENTER_FOLDER holds timeline.npz, audio.wav, phonemes.json, split.json and frames/. Pictures are
linked where the file system allows, else copied.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np
import soundfile

from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.dataset import in_ranges, load_dataset, runs, write_dataset

CONSENT = None  # the person is computer-generated: there is nobody to ask
LICENCE = 'Apache-2.0; made from ICT-FaceKit (MIT), MakeHuman (CC0) and flite speech: see LICENSES.md'
SOURCE = 'synthetic presenter v0: ICT-FaceKit face, MakeHuman torso, rendered with Cycles; speech by flite 2.2'


def convert(source: Path, out: Path) -> None:
    """Write the dataset folder ``out`` from the presenter's folder ``source``."""
    timeline = np.load(source / 'timeline.npz')
    info = json.loads((source / 'phonemes.json').read_text())
    split = json.loads((source / 'split.json').read_text())
    samples, _ = soundfile.read(source / 'audio.wav', dtype='float32')
    held_out = runs(timeline['held_out'] > 0.5)
    frames = len(timeline['t'])
    excerpt = [min(split['val']), max(split['val']) + 1]
    unexpected = set(split['train']) & set(np.flatnonzero(in_ranges(frames, held_out)).tolist())
    if unexpected:
        raise SystemExit(f'{source}/split.json: training pictures in held-out sentences: {sorted(unexpected)[:5]}')
    manifest = {
        'name': 'presenter',
        'licence': LICENCE,
        'source': SOURCE,
        'person': {'kind': 'synthetic', 'consent': CONSENT},
        'camera': {'matrix': timeline['K'].astype(float).tolist(), 'metres_per_unit': 0.01},
        'split': {
            'validation': [[int(frames * 0.8), frames]],
            'held_out': [list(pair) for pair in held_out],
            'pictures': [excerpt],
        },
    }
    tracks = {
        'points': timeline['lm73_obj'],
        'euler': timeline['euler'],
        'translation': timeline['t'],
        'shoulders': timeline['shoulder_cam'],
    }
    write_dataset(out, manifest, tracks, samples, info['phonemes'])
    pictures = out / 'frames'
    pictures.mkdir(exist_ok=True)
    for picture in sorted((source / 'frames').glob('*.jpg')):
        target = pictures / picture.name
        if target.exists():
            continue
        try:
            os.link(picture, target)
        except OSError:
            shutil.copyfile(picture, target)
    dataset = load_dataset(out)
    print(
        f'{len(dataset) / FRAME_RATE:.1f} s of motion, {len(dataset.training_pictures())} pictures for training, '
        f'{len(dataset.validation_pictures())} for validation -> {out}'
    )


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('presenter', type=Path)
    parser.add_argument('out', type=Path)
    arguments = parser.parse_args()
    convert(arguments.presenter, arguments.out)
