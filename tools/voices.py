"""Many voices for one face: speech of free TTS engines with the exact truth of the presenter's face.

    python tools/voices.py PRESENTER_FOLDER OUT_FOLDER

Writes a dataset folder (docs/training.md, without pictures) for each voice. flite prints the end time
of each phone; libespeak-ng reports each phoneme's start as an event. The presenter's own rig and
animation script, which lie in PRESENTER_FOLDER, turn phone times into points of the face. Each
sentence is resampled by a random factor, which moves pitch and formants together, as another
speaker's vocal tract would. The voice ``HELD_OUT`` speaks its own sentences for the evaluation and
is never learned from.
"""

import argparse
import ctypes
import importlib.util
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import soundfile
from rich.progress import track
from scipy.signal import resample_poly

from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE
from lsp_ros.training.dataset import write_dataset

FLITE = ('rms', 'slt', 'kal16')
ESPEAK = ('en-us', 'en-us+f3', 'en-us+m3', 'gmw/en', 'en-us+f5', 'gmw/en-GB-x-rp+m7', 'en-us+Annie', 'gmw/en-GB-scotland+f2')
HELD_OUT = 'awb'
LEAD, PAUSE = 3.0, (0.15, 1.3)
"""Seconds of silence at the start of a clip, and between sentences."""
SENTENCES_A_VOICE = 48

# espeak-ng's phoneme mnemonics to the CMU set that flite speaks and the animation knows. Two-part
# sounds (nurse, near, square, cure) become their first vowel and an r.
VOWELS = {
    '@': ['ax'], 'a#': ['ax'], '3': ['er'], '3:': ['er'], '@L': ['ax', 'l'], '@2': ['ax'], '@5': ['ax'],
    'a': ['ae'], 'aa': ['ae'], 'a2': ['aa'], 'A:': ['aa'], 'A@': ['aa', 'r'], 'A~': ['aa'], 'E': ['eh'], 'E2': ['eh'],
    'e': ['eh'], 'e@': ['eh', 'r'], 'e:': ['ey'], 'eI': ['ey'], 'I': ['ih'], 'I2': ['ih'], 'I#': ['ih'], 'i': ['iy'],
    'i:': ['iy'], 'i@': ['iy', 'ax'], 'i@3': ['ih', 'r'], 'O': ['ao'], 'O:': ['ao'], 'O2': ['ao'], 'O@': ['ao', 'r'],
    'o@': ['ao', 'r'], 'OI': ['oy'], 'oU': ['ow'], 'o:': ['ow'], 'o': ['ow'], '0': ['aa'], '0#': ['aa'], 'V': ['ah'],
    'V3': ['ah'], 'U': ['uh'], 'U@': ['uh', 'r'], 'u': ['uw'], 'u:': ['uw'], 'u@': ['uw', 'ax'], 'aI': ['ay'], 'aI2': ['ay'],
    'aI@': ['ay', 'ax'], 'aI3': ['ay', 'er'], 'aU': ['aw'], 'aU@': ['aw', 'ax'], 'VR': ['er'], 'IR': ['ih', 'r'],
    '8': ['ax'], '@-': ['ax'],
}  # fmt: skip
CONSONANTS = {
    'p': 'p', 'b': 'b', 't': 't', 'd': 'd', 'k': 'k', 'g': 'g', 'f': 'f', 'v': 'v', 'T': 'th', 'D': 'dh', 's': 's',
    'z': 'z', 'S': 'sh', 'Z': 'zh', 'tS': 'ch', 'dZ': 'jh', 'm': 'm', 'n': 'n', 'N': 'ng', 'l': 'l', 'l#': 'l',
    'L': 'l', 'l/': 'l', 'r': 'r', 'r-': 'r', 'R': 'r', 'R2': 'r', 'j': 'y', 'w': 'w', 'h': 'hh', 't#': 'd', 't2': 't',
    'd#': 'd', '*': 'd', 'x': 'k', 'C': 'sh', 'm-': 'm', 'n-': 'n', 'w#': 'w', 'z#': 'z', 's#': 's', 'k#': 'k',
}  # fmt: skip
SILENT = {'', '?', ';', '_', '_:', '_!', '_|', '_^_', "'", ',', '%', '=', '|', ':', '`', '_::', "''"}

Phones = list[tuple[str, float, float]]


def speak_flite(voice: str, text: str) -> tuple[np.ndarray, Phones]:
    """flite: float samples at 16 kHz and [phone, start, end] in seconds."""
    with tempfile.NamedTemporaryFile(suffix='.wav') as file:
        command = ['flite', '-voice', voice, '-t', text, '-o', file.name, '-psdur']
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        samples, rate = soundfile.read(file.name)
    if rate != SAMPLE_RATE:
        raise SystemExit(f'flite voice {voice} speaks at {rate} Hz')
    ends = [(item.rsplit(':', 1)[0], float(item.rsplit(':', 1)[1])) for item in printed]
    starts = [0.0] + [end for _, end in ends[:-1]]
    return samples, [(phone, start, end) for (phone, end), start in zip(ends, starts, strict=True)]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ('type', ctypes.c_int), ('unique', ctypes.c_uint), ('text', ctypes.c_int), ('length', ctypes.c_int),
        ('audio', ctypes.c_int), ('sample', ctypes.c_int), ('user', ctypes.c_void_p), ('id', ctypes.c_char * 8),
    ]  # fmt: skip


class Espeak:
    """libespeak-ng through its C API: sound and the moment of each phoneme."""

    SYNCHRONOUS, PHONEME_EVENTS, PHONEME, UTF8 = 2, 1, 7, 1

    def __init__(self) -> None:
        self._lib = ctypes.CDLL('libespeak-ng.so.1')
        self.rate = self._lib.espeak_Initialize(self.SYNCHRONOUS, 0, None, self.PHONEME_EVENTS)
        if self.rate <= 0:
            raise SystemExit('libespeak-ng does not start')
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = kind(self._receive)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _receive(self, sound, count: int, events) -> int:
        if sound and count:
            self._sound.append(np.ctypeslib.as_array(sound, (count,)).copy())
        k = 0
        while events[k].type:
            if events[k].type == self.PHONEME:
                self._marks.append((events[k].id.decode(), events[k].audio / 1000))
            k += 1
        return 0

    def speak(self, voice: str, text: str) -> tuple[np.ndarray, Phones]:
        if self._lib.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f'espeak-ng has no voice {voice}')
        self._sound, self._marks = [], []
        data = text.encode()
        self._lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, self.UTF8, None, None)
        samples = np.concatenate(self._sound) / 32768
        phones: Phones = []
        bounds = [start for _, start in self._marks[1:]] + [len(samples) / self.rate]
        for (name, start), end in zip(self._marks, bounds, strict=True):
            parts = cmu(name)
            if parts is None:
                raise SystemExit(f'espeak-ng says phoneme {name!r} in {text!r}, which has no CMU phone here')
            width = (end - start) / max(1, len(parts))
            spans = [(phone, start + k * width, start + (k + 1) * width) for k, phone in enumerate(parts or ['pau'])]
            phones += [span for span in spans if span[2] > span[1]]
        return resample_poly(samples, 320, self.rate * 320 // SAMPLE_RATE), phones


def cmu(mnemonic: str) -> list[str] | None:
    """CMU phones of an espeak-ng mnemonic, [] for silence, None where it is unknown."""
    name = mnemonic.strip("',%")
    if name in SILENT:
        return []
    return VOWELS.get(name) or ([CONSONANTS[name]] if name in CONSONANTS else None)


def change_speaker(samples: np.ndarray, phones: Phones, factor: float) -> tuple[np.ndarray, Phones]:
    """Play ``factor`` times as fast: pitch and formants rise, phones shorten."""
    up = round(100 / factor)
    return resample_poly(samples, up, 100), [(p, a * up / 100, b * up / 100) for p, a, b in phones]


def compose(spoken: list[tuple[np.ndarray, Phones, str]], voice: str, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    """Sentences with pauses in one clip, in the layout of the presenter's phonemes.json."""
    parts, phones, utterances, at = [np.zeros(int(LEAD * SAMPLE_RATE))], [('pau', 0.0, LEAD)], [], LEAD
    for samples, spans, text in spoken:
        level = np.sqrt(np.mean(samples[np.abs(samples) > 0.02] ** 2)) if (np.abs(samples) > 0.02).any() else 1.0
        samples = samples * min(0.13 / level, 0.95 / np.abs(samples).max())
        gap = np.zeros(int(rng.uniform(*PAUSE) * SAMPLE_RATE))
        length, end = len(samples) / SAMPLE_RATE, at + (len(samples) + len(gap)) / SAMPLE_RATE
        phones += [(p, at + a, at + min(b, length)) for p, a, b in spans if a < length]
        phones.append(('pau', phones[-1][2], end))
        utterances.append({'voice': 'rms', 'text': text, 'start': at, 'end': at + length, 'held_out': False})
        parts += [samples, gap]
        at = end
    merged = [phones[0]]
    for phone, start, end in phones[1:]:
        if phone == 'pau' and merged[-1][0] == 'pau':
            merged[-1] = ('pau', merged[-1][1], end)
        else:
            merged.append((phone, start, end))
    audio = np.concatenate(parts)
    frames = -(-len(audio) * FRAME_RATE // SAMPLE_RATE)
    return audio, {'frames': frames, 'utterances': utterances, 'phonemes': merged}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('presenter', type=Path)
    parser.add_argument('out', type=Path)
    arguments = parser.parse_args()
    spec = importlib.util.spec_from_file_location('presenter_animation', arguments.presenter / 'scripts' / 'timeline.py')
    animation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(animation)
    rig = np.load(arguments.presenter / 'rig.npz')
    lines = (Path(__file__).parent / 'sentences.txt').read_text().splitlines()[1:]
    cut = lines.index('# held out')
    common, reserved = lines[:cut], lines[cut + 1 :]
    espeak = Espeak()
    for voice in track([*FLITE, *ESPEAK, HELD_OUT], 'voices'):
        folder = arguments.out / voice.replace('gmw/', '')
        if (folder / 'dataset.yaml').exists():
            continue
        seed = zlib.crc32(voice.encode())
        rng = np.random.default_rng(seed)
        if voice == HELD_OUT:
            sentences, spread = reserved, 0.0
        else:
            sentences, spread = [common[k] for k in rng.permutation(len(common))[:SENTENCES_A_VOICE]], 0.16
        spoken = []
        for text in sentences:
            samples, phones = speak_flite(voice, text) if voice in (*FLITE, HELD_OUT) else espeak.speak(voice, text)
            samples, phones = change_speaker(samples, phones, float(np.exp(rng.uniform(-spread, spread))))
            spoken.append((samples, phones, text))
        audio, info = compose(spoken, voice, rng)
        truth = animation.animate(rig, np.pad(audio, (0, SAMPLE_RATE)), info, seed=seed % 2**31)
        tracks = {
            'points': truth['lm73_obj'],
            'euler': truth['euler'],
            'translation': truth['t'],
            'shoulders': truth['shoulder_cam'],
        }
        manifest = {
            'name': f'presenter-{voice}',
            'licence': 'made for this project, Apache-2.0; speech by flite 2.2 or espeak-ng',
            'source': f'voice {voice}, animated with the rig of the synthetic presenter v0',
            'person': {'kind': 'synthetic', 'consent': None},
            'camera': {'matrix': truth['K'].astype(float).tolist(), 'metres_per_unit': 0.01},
        }
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = folder.with_name(folder.name + '.part')
        write_dataset(part, manifest, tracks, audio, info['phonemes'])
        part.rename(folder)
        print(f'{voice}: {info["frames"] / FRAME_RATE:.0f} s, {len(sentences)} sentences', file=sys.stderr)


if __name__ == '__main__':
    main()
