"""Turn recordings of many people into lessons for a mouth: real voices, with times of the phones found by listening.

    pip install pocketsphinx==5.1.1
    python tools/people.py PRESENTER_FOLDER RECORDINGS_FOLDER OUT_FOLDER

No transcripts are needed. A speech recogniser (pocketsphinx, with the English models in its package) hears each
recording twice, the second time as a larger speaker and with a quicker search. Words that it understood alike
are taken for true; their phones are aligned with the sound. Frames of other words are marked as unknown, so that
nothing learns from them. Recordings in which less than half of the words agree are left out. Then the presenter's
rules animate the face (tools/voices.py). One dataset folder for each dozen recordings; recognition is kept in
OUT_FOLDER/heard.json, so the tool goes on where it was stopped.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder
from rich.progress import track
from scipy.signal import resample_poly
from voices import Phones, Sentence, lay_out, write_clip

from lsp_ros import media
from lsp_ros.storage import write_file
from lsp_ros.timeline import SAMPLE_RATE
from lsp_ros.training.apc import audio_files

RECORDINGS_IN_CLIP = 12
LARGER = 1.05  # the second hearing's speaker
FRAMES_A_SECOND = 100  # of the recogniser
SAME_TIME = 0.15  # seconds between the beginnings of a word in the two hearings
MARGIN = 0.05  # seconds around an unsure word in which the mouth may already be wrong
SCHWA = 0.07  # seconds; the recogniser's dictionary writes a schwa as AH, which is longer
AGREEMENT = 0.5
LICENCE = 'speech as the recordings say; motion by the project, MIT'

Word = tuple[str, float, float]


def pcm(samples: np.ndarray) -> bytes:
    """16 bit samples for the recogniser."""
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()


def recognise(decoder: Decoder, samples: np.ndarray, size: float = 1.0) -> list[Word]:
    """Words with their start and end in seconds, heard as a speaker of another size."""
    heard = resample_poly(samples, round(100 * size), 100) if size != 1 else samples
    decoder.start_utt()
    decoder.process_raw(pcm(heard), full_utt=True)
    decoder.end_utt()
    second = FRAMES_A_SECOND * size
    words = [(s.word, s.start_frame / second, (s.end_frame + 1) / second) for s in decoder.seg() or ()]
    return [(plain(word), start, end) for word, start, end in words if word[0] not in '<[+']


def plain(word: str) -> str:
    """A word without the number of its pronunciation."""
    return word.split('(')[0]


def align(aligner: Decoder, samples: np.ndarray, words: list[str]) -> tuple[Phones, list[Word]]:
    """Gapless phones (CMU names in lower case, ``ax`` and ``pau`` as flite has them) and words of a known text."""
    aligner.set_align_text(' '.join(words))
    for attempt in range(2):  # words first, then their phones
        if attempt:
            aligner.set_alignment()
        aligner.start_utt()
        aligner.process_raw(pcm(samples), full_utt=True)
        aligner.end_utt()
    phones, spoken = [], []
    for word in aligner.get_alignment():
        start = word.start / FRAMES_A_SECOND
        if word.name[0] not in '<[+':
            spoken.append((plain(word.name), start, start + word.duration / FRAMES_A_SECOND))
        for phone in word:
            begin, length = phone.start / FRAMES_A_SECOND, phone.duration / FRAMES_A_SECOND
            name = 'pau' if phone.name[0] == '+' or phone.name == 'SIL' else phone.name.lower()
            phones.append(('ax' if name == 'ah' and length < SCHWA else name, begin, begin + length))
    return phones, spoken


def sentence(samples: np.ndarray, phones: Phones, words: list[Word], again: list[Word]) -> Sentence | None:
    """A recording with its aligned ``words``, unsure where the other hearing ``again`` differs; None if it mostly
    does."""
    times: dict[str, list[float]] = {}
    for word, start, _ in again:
        times.setdefault(word, []).append(start)
    sure = [
        min((abs(start - other) for other in times.get(word, [])), default=1) < SAME_TIME for word, start, _ in words
    ]
    if not words or np.mean(sure) < AGREEMENT:
        return None
    unsure = tuple((max(start - MARGIN, 0), end + MARGIN) for (_, start, end), fine in zip(words, sure) if not fine)
    return Sentence(' '.join(word for word, _, _ in words), samples, phones, unsure)


def listen(files: list[Path], kept: Path) -> dict[str, dict]:
    """For each recording, by its name: aligned phones and words, and the words of the second hearing."""
    heard = json.loads(kept.read_text()) if kept.exists() else {}
    left = [file for file in files if file.stem not in heard]
    if not left:
        return heard
    careful = Decoder(samprate=SAMPLE_RATE, loglevel='FATAL')
    quick = Decoder(samprate=SAMPLE_RATE, fwdflat=False, bestpath=False, loglevel='FATAL')
    aligner = Decoder(samprate=SAMPLE_RATE, lm=None, bestpath=False, loglevel='FATAL')
    for number, file in enumerate(track(left, 'recognising')):
        samples = media.read_audio(file)
        first, again = recognise(careful, samples), recognise(quick, samples, LARGER)
        phones, words = [], []
        if first:
            try:
                phones, words = align(aligner, samples, [word for word, _, _ in first])
            except RuntimeError:  # the recogniser found no path: nothing is sure
                pass
        heard[file.stem] = {'phones': phones, 'words': words, 'again': again}
        if number % 20 == 19 or number == len(left) - 1:
            write_file(kept, json.dumps(heard))
    return heard


def make_all(presenter: Path, recordings: Path, out: Path) -> None:
    """Make the clips that are missing in the folder ``out``, named after the folder ``recordings``."""
    files = audio_files([recordings])
    np.random.default_rng(0).shuffle(files)  # each clip gets many speakers
    out.mkdir(parents=True, exist_ok=True)
    heard = listen(files, out / 'heard.json')
    groups = [files[k : k + RECORDINGS_IN_CLIP] for k in range(0, len(files), RECORDINGS_IN_CLIP)]
    total = unsure = 0.0
    for number, group in enumerate(track(groups, 'clips')):
        folder = out / f'{recordings.name}_{number:02}'
        if (folder / 'dataset.yaml').exists():
            continue
        spoken = [sentence(media.read_audio(file), **heard[file.stem]) for file in group]
        clip = lay_out(filter(None, spoken), np.random.default_rng(number))
        total += write_clip(presenter, folder, clip, 500 + number, folder.name, LICENCE, str(recordings.name))
        unsure += sum(end - start for start, end in clip.unsure)
    print(f'{total / 60:.1f} minutes made, {unsure / 60:.1f} of them unknown')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('presenter', type=Path)
    parser.add_argument('recordings', type=Path)
    parser.add_argument('out', type=Path)
    arguments = parser.parse_args()
    make_all(arguments.presenter, arguments.recordings, arguments.out)
