"""Make speech in many voices with exact mouth and head truth, to teach a mouth that any voice can drive.

    python tools/voices.py PRESENTER_FOLDER OUT_FOLDER [--only NAME]

PRESENTER_FOLDER holds the synthetic presenter's rig.npz and scripts/timeline.py, whose rules animate
every clip: so all voices move one and the same face. Needs the programs flite and festival, the library of
espeak-ng, and festival's voices: festvox-kdlpc16k, -italp16k, -itapc16k, -czech-dita, -czech-krb, -czech-machac,
-czech-ph, -suopuhe-mv, -suopuhe-lj, -ru, -ca-ona-hts, -hi-nsk. One dataset folder (docs/training.md) for each clip;
folders that exist are left alone.

Flite and festival say when each phone ends. Espeak-ng says when each phone begins through its C interface; its
stops begin at the burst, so their closure, about 45 ms, is taken from the phone before.
Each voice speaks two clips: sentences, and made-up text (known words in a new order, words that do not exist),
where size, rate and pitch change from sentence to sentence. The voices awb, ona and nsk are kept out of all of them:
the clip ``awb`` speaks sentences of its own, ``awb_salad`` made-up text, ``ona`` and ``nsk`` plain syllables.
"""

import argparse
import ctypes
import importlib.util
import math
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from rich.progress import track
from scipy.signal import resample_poly

from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE
from lsp_ros.training.dataset import write_dataset

Phones = list[tuple[str, float, float]]

CLOSURE = 0.045  # seconds of closed lips or tongue before an espeak-ng stop sounds
LEVEL = 0.13  # RMS of the loud samples
SENTENCES = 44  # in a clip
SPREAD = 0.08  # of the logarithm of the speaker's size, from sentence to sentence
SALAD = '_salad'  # ends the name of a clip of made-up text
WIDE_SPREAD = 0.16  # the same for size, rate and pitch in clips of made-up text

# Syllables of made-up words, as English spelling; what closes the lips comes more often than in English.
ONSETS = (
    'b p m b p m bl br pl pr sp sm f v w wh t d n s z sh ch j k g l r th h y st sw tr dr cr gl fl fr qu sl sk tw thr'
).split()
VOWELS = 'a e i o u a e i o u ee oo ai ow oy ar er ay oa ie au ea ou'.split()
CODAS = [''] * 8 + 'b p m b p m t n d k s l r mp lt nd st ft sh ch th ng ps lm rb nk f ve x'.split()
LICENCE = 'speech by the free voices of flite, festival or espeak-ng; motion by the project, MIT'


@dataclass(frozen=True)
class Voice:
    """A speaker: engine, its voice, speaking rate (1 = normal), pitch (Hz for flite, 0..99 for espeak-ng), and a
    resampling factor above 1 for a larger speaker (deeper, slower), below 1 for a smaller one."""

    name: str
    engine: str
    voice: str
    rate: float = 1.0
    pitch: float | None = None
    size: float = 1.0


TRAINING_VOICES = (
    Voice('rms', 'flite', 'rms'),
    Voice('rms_slow', 'flite', 'rms', 0.85, 85, 1.0),
    Voice('rms_fast', 'flite', 'rms', 1.18, 115, 1.0),
    Voice('rms_small', 'flite', 'rms', 0.85, 120, 0.86),
    Voice('rms_large', 'flite', 'rms', 1.12, 95, 1.1),
    Voice('slt', 'flite', 'slt'),
    Voice('slt_slow', 'flite', 'slt', 0.85, 150, 1.0),
    Voice('slt_fast', 'flite', 'slt', 1.2, 200, 1.0),
    Voice('slt_small', 'flite', 'slt', 0.9, 190, 0.88),
    Voice('slt_large', 'flite', 'slt', 1.15, 160, 1.16),
    Voice('slt_larger', 'flite', 'slt', 1.25, 150, 1.26),
    Voice('kal16', 'flite', 'kal16'),
    Voice('kal16_small', 'flite', 'kal16', 0.9, 125, 0.87),
    Voice('kal', 'flite', 'kal', 1.05, 100, 1.05),
    Voice('us_m3', 'espeak', 'en-us+m3', 0.9, 45),
    Voice('us_m7', 'espeak', 'en-us+m7', 1.0, 35),
    Voice('us_f2', 'espeak', 'en-us+f2', 0.9, 55),
    Voice('us_f4', 'espeak', 'en-us+f4', 1.0, 60),
    Voice('us_f5_small', 'espeak', 'en-us+f5', 0.9, 65, 0.93),
    Voice('us_klatt2', 'espeak', 'en-us+klatt2', 0.9, 40),
    Voice('gb_m1', 'espeak', 'gmw/en+m1', 1.0, 50),
    Voice('gb_f3', 'espeak', 'gmw/en+f3', 0.85, 50),
    Voice('gb_m4_large', 'espeak', 'gmw/en+m4', 1.05, 45, 1.08),
    Voice('rp_m5', 'espeak', 'gmw/en-GB-x-rp+m5', 0.9, 40),
    # Recorded people, more than the engines above have. Where the language is not English they speak plain syllables.
    Voice('ked', 'festival', 'ked_diphone'),
    Voice('italian_lp', 'festival', 'lp_diphone'),
    Voice('italian_pc', 'festival', 'pc_diphone'),
    Voice('czech_dita', 'festival', 'czech_dita'),
    Voice('czech_krb', 'festival', 'czech_krb'),
    Voice('czech_machac', 'festival', 'czech_machac'),
    Voice('czech_ph', 'festival', 'czech_ph'),
    Voice('finnish_mv', 'festival', 'hy_fi_mv_diphone'),
    Voice('finnish_lj', 'festival', 'suo_fi_lj_diphone'),
    Voice('russian_nsh', 'festival', 'msu_ru_nsh_clunits'),
)
ENGLISH_FESTIVAL = ('ked_diphone',)
HELD_OUT_VOICE = Voice('awb', 'flite', 'awb')
# Further voices that nothing learns from, nor is chosen by: a Catalan woman and an Indian man speak plain syllables.
STRANGERS = (Voice('ona', 'festival', 'upc_ca_ona_hts'), Voice('nsk', 'festival', 'hindi_NSK_diphone'))
DEVANAGARI = ('hindi_NSK_diphone',)
HELD_OUT = (HELD_OUT_VOICE.name, HELD_OUT_VOICE.name + SALAD, *(voice.name for voice in STRANGERS))

# Espeak-ng's phonemes as flite's (CMU) ones; several share the time equally.
ESPEAK = {
    'a': 'ae', 'aa': 'ae', 'A:': 'aa', 'A': 'aa', '0': 'aa', '0#': 'aa', 'O': 'ao', 'O:': 'ao', 'o:': 'ao', 'O2': 'ao',
    'o@': 'ao r', 'o': 'ow', 'u@': 'uw ax', 'aI2': 'ay', 'A~': 'aa', 'a2': 'aa', 'V3': 'ah', '8': 'ax', 'R2': 'r',
    'E': 'eh', 'E:': 'eh', 'E2': 'eh', 'e': 'eh', '3': 'er', '3:': 'er', 'R': 'er', 'I': 'ih', 'I#': 'ih', 'I2': 'ih',
    'i': 'iy', 'i:': 'iy', 'V': 'ah', 'U': 'uh', 'u': 'uw', 'u:': 'uw', '@': 'ax', '@2': 'ax', '@5': 'ax', 'a#': 'ax',
    '@-': 'ax', '@#': 'ax', 'eI': 'ey', 'e:': 'ey', 'oU': 'ow', 'oU#': 'ow', '@U': 'ow', 'aU': 'aw', 'aI': 'ay',
    'OI': 'oy', '@L': 'ax l', 'e@': 'eh ax', 'i@': 'ih ax', 'i@3': 'ih er', 'U@': 'uh ax', 'O@': 'ao r', 'A@': 'aa r',
    'aI@': 'ay ax', 'aU@': 'aw ax', 'aI3': 'ay er', 'aU3': 'aw er', 'IR': 'ih r', 'VR': 'ah r', 'e@r': 'eh r',
    'p': 'p', 'b': 'b', 't': 't', 't#': 'd', 't2': 't', 'd': 'd', 'd#': 'd', 'k': 'k', 'g': 'g', 'f': 'f', 'v': 'v',
    'T': 'th', 'D': 'dh', 's': 's', 'z': 'z', 'z/2': 'z', 'S': 'sh', 'Z': 'zh', 'h': 'hh', 'm': 'm', 'm-': 'ax m',
    'n': 'n', 'n-': 'ax n', 'N': 'ng', 'l': 'l', 'l/': 'l', 'l#': 'l', 'L': 'l', 'r': 'r', 'r-': 'r', 'r/': 'r',
    'w': 'w', 'w#': 'w', 'j': 'y', 'tS': 'ch', 'dZ': 'jh', '?': 'hh', 'x': 'k', 'C': 'hh',
    '*': 'd', 'z#': 'z', 's#': 's', 'k#': 'k',
    '_': 'pau', '_:': 'pau', '_::': 'pau', '_^_': 'pau', '_|': 'pau', '_!': 'pau', ';': '', '': '', '|': '',
}  # fmt: skip
# Phones of festival's Italian, Czech, Finnish, Russian, Catalan and Hindi voices, as far as plain syllables need them.
FESTIVAL = {
    'a': 'aa', 'a1': 'aa', 'aa': 'aa', 'ay': 'ax', 'ae': 'ax', 'ur': 'ax', 'e': 'eh', 'e1': 'eh', 'E1': 'eh',
    'ee': 'eh', 'i': 'iy', 'i1': 'iy', 'ii': 'iy', 'o': 'ao', 'o1': 'ao', 'O1': 'ao', 'oo': 'ao',
    'u': 'uw', 'u1': 'uw', 'uu': 'uw',
    'p': 'p', 'pp': 'p', 'b': 'b', 'bb': 'b', 'm': 'm', 'mm': 'm', 't': 't', 'tt': 't', 't~': 't', 'T': 't', 'd': 'd',
    'dd': 'd', 'd~': 'd', 'k': 'k', 'kk': 'k', 'g': 'g', 'gg': 'g', 'n': 'n', 'nn': 'n', 'n~': 'n', 'n*': 'ng',
    'N': 'ng', 'ng': 'ng', 'l': 'l', 'll': 'l', 'r': 'r', 'rr': 'r', 's': 's', 'ss': 's', 'z': 'z', 'zz': 'z', 'f': 'f',
    'ff': 'f', 'v': 'v', 'vv': 'v', 'h': 'hh', 'hh': 'hh', 'j': 'y', '#': 'pau', 'pau': 'pau',
    'ax': 'ax', 'eh': 'eh', 'iy': 'iy', 'oh': 'ow', 'uw': 'uw', 'th': 't', 'dh': 'd',
}  # fmt: skip
VOICELESS_STOPS = {'p', 't', 'k', 'ch'}
VOICED_STOPS = {'b', 'd', 'g', 'jh'}


def flite(text: str, voice: Voice) -> tuple[np.ndarray, Phones]:
    """Samples at 16 kHz and phones of one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'speech.wav'
        command = ['flite', '-voice', voice.voice, '--setf', f'duration_stretch={1 / voice.rate:.3f}']
        if voice.pitch:
            command += ['--setf', f'int_f0_target_mean={voice.pitch:g}']
        command += ['-t', text, '-o', str(file), '-psdur']
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        samples, rate = soundfile.read(file, dtype='float64')
    phones, start = [], 0.0
    for item in printed:
        phone, end = item.rsplit(':', 1)
        phones.append((phone, start, float(end)))
        start = float(end)
    return resample_poly(samples, SAMPLE_RATE, rate) if rate != SAMPLE_RATE else samples, phones


def festival(texts: list[str], voice: Voice, rates: list[float]) -> list[tuple[np.ndarray, Phones] | None]:
    """Samples at 16 kHz and phones of each sentence, spoken at its rate; None where a sound is unknown."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f'(voice_{voice.voice})']
        for index, (text, rate) in enumerate(zip(texts, rates, strict=True)):
            plain = text.replace('"', '')
            lines.append(f"(Parameter.set 'Duration_Stretch {1 / rate:.3f})")
            lines.append(f'(set! u (utt.synth (Utterance Text "{plain}")))')
            lines.append(f'(utt.save.wave u "{folder}/{index}.wav") (utt.save.segs u "{folder}/{index}.seg")')
        script = Path(folder) / 'speak.scm'
        script.write_text('\n'.join(lines))
        subprocess.run(['festival', '-b', str(script)], capture_output=True, check=True)
        return [_festival_sentence(Path(folder) / str(index), voice) for index in range(len(texts))]


def _festival_sentence(file: Path, voice: Voice) -> tuple[np.ndarray, Phones] | None:
    samples, rate = soundfile.read(file.with_suffix('.wav'), dtype='float64')
    phones, start = [], 0.0
    for line in file.with_suffix('.seg').read_text().splitlines()[1:]:
        end, _, name = line.split()
        phone = name if voice.voice in ENGLISH_FESTIVAL else FESTIVAL.get(name.rstrip(':'))
        if phone is None:
            return None
        phones.append((phone, start, float(end)))
        start = float(end)
    divisor = np.gcd(SAMPLE_RATE, rate)
    return resample_poly(samples, SAMPLE_RATE // divisor, rate // divisor), phones


class UnknownPhonemeError(ValueError):
    """Espeak-ng made a sound that the animation does not know."""


class _Identifier(ctypes.Union):
    _fields_ = [('number', ctypes.c_int), ('name', ctypes.c_char_p), ('string', ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ('type', ctypes.c_int),
        ('unique_identifier', ctypes.c_uint),
        ('text_position', ctypes.c_int),
        ('length', ctypes.c_int),
        ('audio_position', ctypes.c_int),
        ('sample', ctypes.c_int),
        ('user_data', ctypes.c_void_p),
        ('id', _Identifier),
    ]


class Espeak:
    """The C interface of espeak-ng, in synchronous mode with phoneme events."""

    PHONEME_EVENT = 7
    SYNCHRONOUS, PHONEME_EVENTS, UTF8 = 2, 1, 1
    RATE, PITCH = 1, 3
    NORMAL_RATE = 165  # words a minute

    def __init__(self) -> None:
        self.library = ctypes.CDLL('libespeak-ng.so.1')
        self.sample_rate = self.library.espeak_Initialize(self.SYNCHRONOUS, 0, None, self.PHONEME_EVENTS)
        if self.sample_rate <= 0:
            raise SystemExit('espeak-ng could not be initialised')
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = kind(self._receive)
        self.library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave, count: int, events) -> int:
        if wave and count:
            self._waves.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == self.PHONEME_EVENT:
                raw = ctypes.string_at(ctypes.addressof(event) + _Event.id.offset, 8)
                self._starts.append((raw.split(b'\0')[0].decode(), event.sample / self.sample_rate))
            index += 1
        return 0

    def speak(self, text: str, voice: Voice) -> tuple[np.ndarray, Phones]:
        """Samples at 16 kHz and phones of one sentence."""
        self._waves, self._starts = [], []
        if self.library.espeak_SetVoiceByName(voice.voice.encode()):
            raise SystemExit(f'espeak-ng has no voice {voice.voice}')
        self.library.espeak_SetParameter(self.RATE, round(self.NORMAL_RATE * voice.rate), 0)
        self.library.espeak_SetParameter(self.PITCH, round(voice.pitch or 50), 0)
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 0, 0, self.UTF8, None, None)
        self.library.espeak_Synchronize()
        samples = np.concatenate(self._waves) / 32768
        phones = espeak_phones(self._starts, len(samples) / self.sample_rate)
        return resample_poly(samples, 320, 441) if self.sample_rate == 22_050 else samples, phones


def espeak_phones(starts: list[tuple[str, float]], duration: float) -> Phones:
    """Espeak-ng's (name, start) events -> gapless flite-style phones from 0 to ``duration``."""
    phones: Phones = [('pau', 0.0, starts[0][1])] if starts[0][1] > 0 else []
    for (name, start), (_, end) in zip(starts, [*starts[1:], ('', duration)]):
        if name not in ESPEAK:
            raise UnknownPhonemeError(f'espeak-ng phoneme {name!r} has no counterpart; add it to the table')
        parts = ESPEAK[name].split()
        edges = np.linspace(start, max(start, end), len(parts) + 1)
        phones += [(part, float(a), float(b)) for part, a, b in zip(parts, edges, edges[1:])]
    for index in range(1, len(phones)):
        (before, first, middle), (phone, _, last) = phones[index - 1], phones[index]
        if phone in VOICELESS_STOPS or (phone in VOICED_STOPS and before == 'pau'):
            middle -= min(CLOSURE, (middle - first) * (1.0 if before == 'pau' else 0.5))
            phones[index - 1], phones[index] = (before, first, middle), (phone, middle, last)
    return [phone for phone in phones if phone[2] - phone[1] > 1e-4]


def word_salad(words: list[str], rng: np.random.Generator) -> str:
    """Six to twelve known words in an order that nobody has heard."""
    chosen = rng.choice(words, rng.integers(6, 13))
    cut = rng.integers(3, len(chosen))
    return ' '.join([*chosen[: cut - 1], f'{chosen[cut - 1]},', *chosen[cut:]]) + str(rng.choice(['.', '?', '!']))


def made_up(rng: np.random.Generator) -> str:
    """Four to eight words that do not exist: sounds in every neighbourhood."""
    words = []
    for _ in range(rng.integers(4, 9)):
        count = rng.choice([1, 2, 2, 3])
        words.append(''.join(str(rng.choice(part)) for _ in range(count) for part in (ONSETS, VOWELS, CODAS)))
    return ' '.join(words) + '.'


def plain_words(rng: np.random.Generator) -> str:
    """Five to nine words of syllables that any Latin spelling reads alike; half of them close the lips."""
    onsets, codas = 'b p m b p m t d k l n r s v f'.split(), [''] * 9 + 'm n r s l p'.split()
    parts, words = (onsets, list('aeiou'), codas), []
    for _ in range(rng.integers(5, 10)):
        words.append(''.join(str(rng.choice(part)) for _ in range(rng.integers(1, 4)) for part in parts))
    return ' '.join(words) + '.'


def devanagari_words(rng: np.random.Generator) -> str:
    """Five to eight words of such syllables as a Hindi voice reads them."""
    parts = 'प ब म प ब म त द क ल न र स व फ'.split(), 'ा ी ू े ो'.split()
    codas, words = [''] * 10 + 'म न ल र स प ब'.split(), []
    for _ in range(rng.integers(5, 9)):
        spelt = (str(rng.choice(part)) for _ in range(rng.integers(2, 4)) for part in parts)
        words.append(''.join(spelt) + str(rng.choice(codas)))
    return ' '.join(words)


def made_up_text(count: int, rng: np.random.Generator) -> list[str]:
    """Sentences half of known words in a new order, half of words that do not exist."""
    known = sorted({word.strip('.,?!:;').lower() for line in read_sentences('train') for word in line.split()})
    return [word_salad(known, rng) if k % 2 else made_up(rng) for k in range(count)]


@dataclass(frozen=True)
class Sentence:
    """Something said: text, samples at 16 kHz, gapless phones, and the parts (start, end) of it whose phones may be
    wrong. All in seconds from its beginning."""

    text: str
    samples: np.ndarray
    phones: Phones
    unsure: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Clip:
    """Sentences with pauses between them, in the words of the animation."""

    samples: np.ndarray
    phones: Phones
    utterances: list[dict]
    unsure: list[tuple[float, float]]


def recite(texts: list[str], voice: Voice, espeak: Espeak | None, rng: np.random.Generator, vary: str):
    """The sentences as the voice speaks them, one by one, those left out that have an unknown sound.

    ``vary`` from sentence to sentence: 'nothing', the speaker's 'size', or size, rate and pitch ('all').
    """
    spread = {'nothing': 0.0, 'size': SPREAD, 'all': WIDE_SPREAD}[vary]
    if voice.engine == 'festival':
        rates = voice.rate * np.exp(rng.uniform(-spread, spread, len(texts)) * (vary == 'all'))
        recorded = festival(texts, voice, rates.tolist())
    for index, text in enumerate(texts):
        now = voice
        if vary == 'all':
            rate, pitch = np.exp(rng.uniform(-spread, spread, 2))
            default = {'rms': 100, 'slt': 165}.get(voice.voice, 105) if voice.engine == 'flite' else 50
            now = replace(voice, rate=voice.rate * rate, pitch=(voice.pitch or default) * pitch)
        try:
            if voice.engine == 'festival':
                said = recorded[index]
            else:
                said = espeak.speak(text, now) if voice.engine == 'espeak' else flite(text, now)
        except UnknownPhonemeError:
            said = None
        if said is None:
            continue
        spoken, timed = said
        size = round(100 * voice.size * np.exp(rng.uniform(-spread, spread))) / 100
        if size != 1:
            spoken = resample_poly(spoken, round(100 * size), 100)
            timed = [(phone, start * size, end * size) for phone, start, end in timed]
        yield Sentence(text, spoken, timed)


def lay_out(sentences: Iterable[Sentence], rng: np.random.Generator) -> Clip:
    """The sentences at one level, with pauses between them, some of them long."""
    samples, phones, utterances, unsure = [], [], [], []
    position = 0

    def silence(seconds: float) -> None:
        nonlocal position
        count = round(seconds * SAMPLE_RATE)
        samples.append(np.zeros(count))
        phones.append(('pau', position / SAMPLE_RATE, (position + count) / SAMPLE_RATE))
        position += count

    silence(3.0)
    for sentence in sentences:
        spoken = sentence.samples
        loud = np.sqrt(np.square(spoken[np.abs(spoken) > 0.02]).mean())
        spoken = spoken * min(LEVEL / loud, 0.95 / np.abs(spoken).max())
        start, end = position / SAMPLE_RATE, (position + len(spoken)) / SAMPLE_RATE
        phones += [(phone, start + a, min(start + b, end)) for phone, a, b in sentence.phones if start + a < end]
        phones[-1] = (*phones[-1][:2], end)
        utterances.append({'voice': 'rms', 'text': sentence.text, 'start': start, 'end': end, 'held_out': False})
        unsure += [(start + a, start + b) for a, b in sentence.unsure]
        samples.append(spoken)
        position += len(spoken)
        silence(rng.uniform(3, 5) if rng.random() < 0.08 else rng.uniform(0.08, 1.3))
    merged: Phones = []
    for phone in phones:
        if merged and phone[0] == merged[-1][0] == 'pau':
            merged[-1] = ('pau', merged[-1][1], phone[2])
        else:
            merged.append(phone)
    return Clip(np.concatenate(samples), merged, utterances, unsure)


def animation(scripts: Path):
    """The presenter's own animation rules (scripts/timeline.py, MIT), from its folder."""
    spec = importlib.util.spec_from_file_location('presenter_timeline', scripts / 'timeline.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.animate


def read_sentences(part: str) -> list[str]:
    """The sentences of sentences.txt under [train] or [test]."""
    found, section = [], ''
    for line in (Path(__file__).parent / 'sentences.txt').read_text().splitlines():
        if line.startswith('['):
            section = line.strip('[]')
        elif section == part and line.strip() and not line.startswith('#'):
            found.append(line.strip())
    return found


def write_clip(presenter: Path, out: Path, clip: Clip, seed: int, name: str, licence: str, source: str) -> float:
    """Move the presenter's face to a clip and write the dataset folder; returns its seconds."""
    rig = np.load(presenter / 'rig.npz')
    frames = len(clip.samples) * FRAME_RATE // SAMPLE_RATE
    info = {'frames': frames, 'phonemes': clip.phones, 'utterances': clip.utterances}
    truth = animation(presenter / 'scripts')(rig, clip.samples, info, seed=seed)
    manifest = {
        'name': name,
        'licence': licence,
        'source': source,
        'person': {'kind': 'synthetic', 'consent': None},
        'camera': {'matrix': truth['K'].astype(float).tolist(), 'metres_per_unit': 0.01},
    }
    if clip.unsure:
        spans = [(int(start * FRAME_RATE), min(math.ceil(end * FRAME_RATE), frames)) for start, end in clip.unsure]
        manifest['split'] = {'unknown': [[first, stop] for first, stop in spans if first < stop]}
    tracks = {'points': truth['lm73_obj'], 'euler': truth['euler'], 'translation': truth['t']}
    write_dataset(out, manifest, tracks | {'shoulders': truth['shoulder_cam']}, clip.samples, clip.phones)
    return frames / FRAME_RATE


def make_all(presenter: Path, out: Path, only: str | None = None) -> None:
    """Make the clips that are missing in the folder ``out``."""
    training = read_sentences('train')
    clips = []
    for seed, voice in enumerate(TRAINING_VOICES):
        order = np.random.default_rng(1000 + seed).permutation(len(training))
        chosen, text_rng = [training[k] for k in order[:SENTENCES]], np.random.default_rng(2000 + seed)
        text = made_up_text(SENTENCES, text_rng)
        if voice.engine == 'festival' and voice.voice not in ENGLISH_FESTIVAL:
            chosen, text = ([plain_words(text_rng) for _ in range(SENTENCES)] for _ in range(2))
        clips.append((seed + 1, voice, chosen, 'size'))
        clips.append((seed + 101, replace(voice, name=voice.name + SALAD), text, 'all'))
    clips.append((0, HELD_OUT_VOICE, read_sentences('test'), 'nothing'))
    salad = replace(HELD_OUT_VOICE, name=HELD_OUT_VOICE.name + SALAD)
    clips.append((201, salad, made_up_text(SENTENCES, np.random.default_rng(2201)), 'nothing'))
    for seed, voice in enumerate(STRANGERS, 202):
        text_rng = np.random.default_rng(2000 + seed)
        words = devanagari_words if voice.voice in DEVANAGARI else plain_words
        clips.append((seed, voice, [words(text_rng) for _ in range(SENTENCES)], 'nothing'))
    clips = [clip for clip in clips if only in (None, clip[1].name)]
    clips = [clip for clip in clips if not (out / clip[1].name / 'dataset.yaml').exists()]
    espeak = Espeak() if any(voice.engine == 'espeak' for _, voice, _, _ in clips) else None
    total = 0.0
    for seed, voice, texts, vary in track(clips, 'voices'):
        rng = np.random.default_rng(seed)
        clip = lay_out(recite(texts, voice, espeak, rng, vary), rng)
        source = f'{voice.engine} voice {voice.voice}, rate {voice.rate}, pitch {voice.pitch}, size {voice.size}'
        total += write_clip(presenter, out / voice.name, clip, seed, voice.name, LICENCE, source)
    print(f'{total / 60:.1f} minutes made')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('presenter', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--only', help='make this clip alone')
    arguments = parser.parse_args()
    make_all(arguments.presenter, arguments.out, arguments.only)
