"""Speaks the script: sentences with phone times from flite or from a Piper voice -> audio.wav, phonemes.json.

usage: voices.py OUT_FOLDER [--piper MODEL.onnx]        (without --piper, flite's rms speaks joe's lines)

Needs the program flite (voices rms, slt, awb, kal16), and for Piper espeak-ng, onnx and onnxruntime.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
import wave
from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

RATE, FPS = 16000, 60
LEAD = 10.0  # s of idling at the start
Phones = list[list]  # [name, start, end]

# IPA of espeak-ng to the phones of flite (CMU); two-symbol sounds first
IPA = {
    'aɪ': 'ay', 'aʊ': 'aw', 'eɪ': 'ey', 'oʊ': 'ow', 'ɔɪ': 'oy', 'tʃ': 'ch', 'dʒ': 'jh',
    'ɑ': 'aa', 'a': 'aa', 'æ': 'ae', 'ʌ': 'ah', 'ɐ': 'ax', 'ə': 'ax', 'ᵻ': 'ih', 'ɔ': 'ao', 'o': 'ow', 'ɒ': 'aa',
    'ɛ': 'eh', 'e': 'ey', 'ɜ': 'er', 'ɚ': 'er', 'ɪ': 'ih', 'i': 'iy', 'ʊ': 'uh', 'u': 'uw',
    'b': 'b', 'd': 'd', 'ð': 'dh', 'f': 'f', 'ɡ': 'g', 'h': 'hh', 'j': 'y', 'k': 'k', 'l': 'l', 'm': 'm', 'n': 'n',
    'ŋ': 'ng', 'p': 'p', 'ɹ': 'r', 's': 's', 'ʃ': 'sh', 't': 't', 'ɾ': 'd', 'θ': 'th', 'v': 'v', 'w': 'w', 'z': 'z',
    'ʒ': 'zh', 'ʔ': 't', 'x': 'k',
}  # fmt: skip
MODIFIERS = 'ˈˌː̩̃'


def flite(voice: str, text: str) -> tuple[np.ndarray, Phones]:
    """Samples at 16 kHz and phones of one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'a.wav')
        command = ['flite', '-voice', voice, '-t', text, '-o', path, '-psdur']
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        with wave.open(path) as w:
            x = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float64) / 32768
    phones, start = [], 0.0
    for token in said:
        name, end = token.rsplit(':', 1)
        phones.append([name, start, float(end)])
        start = float(end)
    length = len(x) / RATE
    # the diphone voice reports slightly longer times than the audio it writes: rescale if that fits the energy better
    energy = np.log10(np.convolve(x * x, np.ones(320) / 320, 'same') + 1e-7)

    def contrast(scale: float) -> float:
        sounds = np.zeros(len(x), bool)
        for name, a, b in phones:
            if name != 'pau':
                sounds[int(a * scale * RATE) : int(b * scale * RATE)] = True
        return energy[sounds].mean() - energy[~sounds].mean()

    scale = max((1.0, length / phones[-1][2]), key=contrast)
    return x, [[p, a * scale, min(b * scale, length)] for p, a, b in phones if a * scale < length]


class Piper:
    """A Piper voice whose phone durations are read from inside its graph."""

    def __init__(self, model: str) -> None:
        import onnx
        import onnxruntime

        graph = onnx.load(model)
        durations = next(node.output[0] for node in graph.graph.node if node.op_type == 'Ceil')
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(durations))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        with open(model + '.json') as file:
            config = json.load(file)
        self._ids = config['phoneme_id_map']
        self._rate = config['audio']['sample_rate']
        inference = config['inference']
        self._scales = np.array([inference['noise_scale'], 1.06, inference['noise_w'] * 0.8], np.float32)

    @staticmethod
    def _ipa(text: str) -> str:
        parts = []
        for clause, stop in re.findall(r'([^,.;:?!]+)([,.;:?!]?)', text):
            command = ['espeak-ng', '-q', '--ipa', '-v', 'en-us', clause.strip()]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            parts.append(' '.join(said.split()) + stop)
        return ' '.join(parts).replace('\u200d', '')

    def __call__(self, text: str) -> tuple[np.ndarray, Phones]:
        symbols = ['^', *(c for c in self._ipa(text) if c in self._ids), '$']
        ids, owner = [], []
        for k, c in enumerate(symbols):
            ids += [self._ids[c][0], 0]
            owner += [k, k]
        ids = ids[:-1]
        audio, frames = self._session.run(
            None,
            {
                'input': np.array([ids], np.int64),
                'input_lengths': np.array([len(ids)], np.int64),
                'scales': self._scales,
            },
        )
        x = np.asarray(audio).reshape(-1).astype(np.float64)
        frames = np.asarray(frames).reshape(-1)
        step = len(x) / self._rate / frames.sum()
        lengths = np.zeros(len(symbols))
        owner = np.array(owner[: len(frames)])
        np.add.at(lengths, owner, frames * step * 0.5)  # the blank between two sounds belongs to both
        blank = np.array(ids[: len(frames)]) == 0
        np.add.at(lengths, np.minimum(owner + blank, len(symbols) - 1), frames * step * 0.5)
        ends = np.cumsum(lengths)
        phones: Phones = []
        k = 0
        while k < len(symbols):
            start = ends[k] - lengths[k]
            two = ''.join(symbols[k : k + 2])
            if two in IPA:
                phones.append([IPA[two], start, ends[k + 1]])
                k += 2
                continue
            if symbols[k] in IPA:
                phones.append([IPA[symbols[k]], start, ends[k]])
            elif symbols[k] in MODIFIERS and phones:
                if symbols[k] in 'ˈˌ':  # a stress mark stands before its sound: what time it has belongs to that
                    lengths[min(k + 1, len(symbols) - 1)] += lengths[k]
                else:
                    phones[-1][2] = ends[k]
            elif symbols[k] == ' ' and phones and lengths[k] < 0.06:
                phones[-1][2] = ends[k]
            elif lengths[k] > 0:
                phones.append(['pau', start, ends[k]])
            k += 1
        for before, after in zip(phones[:-1], phones[1:]):
            after[1] = before[2]
        ratio = Fraction(RATE, self._rate)
        x = resample_poly(x, ratio.numerator, ratio.denominator)
        phones[-1][2] = len(x) / RATE
        return x, phones


def script(path: str) -> list[tuple[str, ...]]:
    """Lines 'voice|expression|text', held-out ones begin with '*'; 'listen|expression|seconds' and 'idle|…'."""
    with open(path) as file:
        return [tuple(line.strip().split('|', 2)) for line in file if line.strip() and line[0] != '#']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out')
    parser.add_argument('--piper', default='')
    a = parser.parse_args()
    rng = np.random.RandomState(3)
    joe = Piper(a.piper) if a.piper else None
    audio, phones = [np.zeros(int(LEAD * RATE))], [['pau', 0.0, LEAD]]
    utterances, listening, spans, position = [], [], [], len(audio[0])
    here = os.path.dirname(os.path.abspath(__file__))
    for voice, expression, text in script(os.path.join(here, 'script.txt')):
        held_out, voice = voice.startswith('*'), voice.lstrip('*')
        start = position / RATE
        if voice in ('listen', 'idle'):
            x = np.zeros(int(float(text) * RATE))
            phones.append(['pau', start, start + float(text)])
            if voice == 'listen':
                listening.append([start, start + float(text)])
        else:
            if voice == 'joe':
                x, said = joe(text) if joe else flite('rms', text)
            else:
                x, said = flite(voice, text)
            x = x * min(0.13 / np.sqrt((x[np.abs(x) > 0.02] ** 2).mean()), 0.95 / np.abs(x).max())
            phones += [[p, start + b, start + e] for p, b, e in said]
            voice = voice if joe or voice != 'joe' else 'rms'
            utterances.append(
                dict(
                    voice=voice,
                    text=text,
                    start=start,
                    end=start + len(x) / RATE,
                    held_out=held_out,
                    expression=expression,
                )
            )
        gap = int(rng.uniform(0.05, 1.25) * RATE)
        audio += [x, np.zeros(gap)]
        position += len(x) + gap
        phones.append(['pau', start + len(x) / RATE, position / RATE])
        if expression != 'neutral':
            spans.append([start - 0.2, position / RATE - 0.1, expression])
    x = np.concatenate(audio)
    frames = int(np.ceil(len(x) / RATE * FPS))
    length = int(round(frames / FPS * RATE))
    x = np.pad(x, (0, max(0, length - len(x))))[:length]
    phones[-1][2] = length / RATE
    merged = [phones[0]]
    for phone in phones[1:]:
        if phone[0] == 'pau' and merged[-1][0] == 'pau':
            merged[-1][2] = phone[2]
        else:
            merged.append(phone)
    os.makedirs(a.out, exist_ok=True)
    with wave.open(os.path.join(a.out, 'audio.wav'), 'wb') as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes((np.clip(x, -1, 1) * 32767).round().astype(np.int16).tobytes())
    info = dict(
        rate=RATE, fps=FPS, frames=frames, duration=length / RATE, utterances=utterances, listening=listening,
        expressions=spans, phonemes=[[p, round(b, 4), round(e, 4)] for p, b, e in merged],
    )  # fmt: skip
    with open(os.path.join(a.out, 'phonemes.json'), 'w') as file:
        json.dump(info, file, indent=0)
    print(f'{frames} frames, {length / RATE:.1f} s, {len(merged)} phones, {sorted({p for p, _, _ in merged})}')


if __name__ == '__main__':
    main()
