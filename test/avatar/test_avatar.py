"""An avatar is what was written, or one sentence says which file is wrong and why."""

import datetime
import hashlib
import io
import pickle
import zipfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.numpy
import torch
import yaml
from avatar_fixture import tiny_candidates, tiny_face, tiny_manifest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros.avatar import architecture
from lsp_ros.avatar.consent import record_text
from lsp_ros.avatar.files import parse_weights
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.avatar.save import add_int8_renderer, write_avatar

FILES = [
    'avatar.yaml',
    'apc.safetensors',
    'mouth.safetensors',
    'head_pose.safetensors',
    'renderer_live.safetensors',
    'manifold.npy',
    'face.npz',
    'candidates/0.png',
    'candidates/1.png',
    'candidates/2.png',
    'candidates/3.png',
]


SMALL = {'weight': (3, 5), 'bias': (5,), 'norm.running_mean': (5,)}


@pytest.fixture(scope='module', autouse=True)
def small_networks():
    """Networks of a few numbers in the place of the real ones, whose 22 MB a test would copy each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architecture, 'NETWORKS', dict.fromkeys(architecture.NETWORKS, SMALL))
        yield


def tiny_weights(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """A few numbers for each network: reading and writing do not care what they mean."""
    generator = np.random.default_rng(seed)
    live = architecture.live_renderer((4, 8), (1,))
    renderer = {name: generator.normal(size=shape).astype(np.float16) for name, shape in live.items()}
    return {
        name: {
            'weight': generator.normal(size=(3, 5)).astype(np.float16),
            'bias': generator.normal(size=5).astype(np.float32),
            'norm.running_mean': np.zeros(5, np.float16),
            'norm.num_batches_tracked': np.array(7),
        }
        for name in ('apc', 'mouth', 'head_pose')
    } | {'renderer': renderer}


def write_tiny_avatar(folder, seed: int = 0):
    manifold = np.random.default_rng(seed).normal(size=(64, 512)).astype(np.float16)
    write_avatar(folder, tiny_manifest(), tiny_weights(seed), manifold, tiny_face(), tiny_candidates(seed))
    return folder


@pytest.fixture(scope='module')
def tiny_avatar(tmp_path_factory):
    return write_tiny_avatar(tmp_path_factory.mktemp('avatars') / 'tiny')


def replace(folder, name, data: bytes) -> None:
    """Puts other bytes in a file and a fitting checksum in the manifest, as an attacker would."""
    (folder / name).write_bytes(data)
    edit(folder, lambda mapping: mapping['files'].update({name: hashlib.sha256(data).hexdigest()}))


def edit(folder, change) -> None:
    mapping = yaml.safe_load((folder / 'avatar.yaml').read_text())
    change(mapping)
    (folder / 'avatar.yaml').write_text(yaml.safe_dump(mapping))


def refused(folder, name: str, *words: str, parts=('speech', 'motion', 'rendering')) -> None:
    with pytest.raises(AvatarError) as caught:
        Avatar.load(folder, parts)
    message = str(caught.value)
    assert str(folder / name) in message
    assert message.endswith('.') and '\n' not in message
    for word in words:
        assert word in message


def test_what_is_written_is_read_back(tiny_avatar):
    avatar = Avatar.load(tiny_avatar)
    assert sorted(
        path.relative_to(tiny_avatar).as_posix() for path in tiny_avatar.rglob('*') if path.is_file()
    ) == sorted(FILES)
    assert avatar.name == 'tiny'
    assert avatar.consented
    assert avatar.manifest.mouth.contour is True
    np.testing.assert_array_equal(avatar.camera.matrix, tiny_manifest()['camera']['matrix'])
    np.testing.assert_array_equal(avatar.pose_range.euler_max, [12, 15, 8])
    for name, tensors in tiny_weights().items():
        read = avatar.weights(name)
        assert set(read) == set(tensors)
        for key, tensor in tensors.items():
            assert read[key].dtype == (np.float32 if tensor.dtype == np.float16 else tensor.dtype)
            np.testing.assert_array_equal(read[key], tensor)
    face = tiny_face()
    for name in (
        'mean_points',
        'mouth_mean',
        'mouth_rest',
        'eyes',
        'brows',
        'translation_mean',
        'shoulders',
        'shoulder_translation',
    ):
        np.testing.assert_array_equal(getattr(avatar.face, name), np.float32(getattr(face, name)))
    assert avatar.face.scale == 1.0
    assert avatar.manifold().shape == (64, 512) and avatar.manifold().dtype == np.float32
    np.testing.assert_array_equal(avatar.candidates(), tiny_candidates())


def test_a_part_needs_only_its_own_files(tiny_avatar_copy):
    for name in ('mouth.safetensors', 'renderer_live.safetensors', 'candidates/2.png'):
        (tiny_avatar_copy / name).unlink()
    Avatar.load(tiny_avatar_copy, parts=('speech',))
    refused(tiny_avatar_copy, 'mouth.safetensors', 'missing', parts=('motion',))
    refused(tiny_avatar_copy, 'renderer_live.safetensors', 'missing', parts=('rendering',))


def test_an_unknown_part_is_refused(tiny_avatar):
    with pytest.raises(ValueError, match='legs'):
        Avatar.load(tiny_avatar, parts=('legs',))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(AvatarError, match='nobody: there is no such avatar folder'):
        Avatar.load(tmp_path / 'nobody')


@pytest.mark.parametrize('name', FILES)
def test_a_missing_file_is_named(tiny_avatar_copy, name):
    (tiny_avatar_copy / name).unlink()
    refused(tiny_avatar_copy, name, 'missing')


@pytest.mark.parametrize('name', FILES[1:])
def test_a_truncated_file_is_named(tiny_avatar_copy, name):
    data = (tiny_avatar_copy / name).read_bytes()
    (tiny_avatar_copy / name).write_bytes(data[: len(data) // 2])
    refused(tiny_avatar_copy, name, 'checksum')


@pytest.mark.parametrize('name', FILES[1:])
def test_a_single_changed_bit_is_noticed(tiny_avatar_copy, name):
    data = bytearray((tiny_avatar_copy / name).read_bytes())
    data[-100] ^= 1
    (tiny_avatar_copy / name).write_bytes(data)
    refused(tiny_avatar_copy, name, 'checksum')


@pytest.mark.parametrize('name', FILES[1:])
@pytest.mark.parametrize('share', [0, 0.5, 0.99])
def test_a_truncated_file_with_a_fitting_checksum_is_named(tiny_avatar_copy, name, share):
    data = (tiny_avatar_copy / name).read_bytes()
    replace(tiny_avatar_copy, name, data[: int(share * len(data))])
    refused(tiny_avatar_copy, name)


class Trap:
    """Unpickling this would leave a mark in the class."""

    sprung = False

    @staticmethod
    def spring():
        Trap.sprung = True

    def __reduce__(self):
        return Trap.spring, ()


def pickles(folder) -> dict[str, list[bytes]]:
    saved = io.BytesIO()
    torch.save({'weight': Trap()}, saved)
    objects = np.array([Trap()], dtype=object)
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, objects)
    np.savez(archive, mean_points=objects)
    plain = pickle.dumps(Trap())
    return {
        'apc.safetensors': [plain, saved.getvalue()],
        'renderer_live.safetensors': [plain, saved.getvalue()],
        'manifold.npy': [plain, array.getvalue()],
        'face.npz': [plain, archive.getvalue()],
    }


@pytest.mark.parametrize('name', ['apc.safetensors', 'renderer_live.safetensors', 'manifold.npy', 'face.npz'])
def test_a_pickle_is_refused_and_never_run(tiny_avatar_copy, name):
    for data in pickles(tiny_avatar_copy)[name]:
        replace(tiny_avatar_copy, name, data)
        refused(tiny_avatar_copy, name, 'pickle')
    assert not Trap.sprung


@given(st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_no_good_weights_are_taken_for_a_pickle(count):
    # A safetensors file starts with the length of its header, which may be any byte: 0x80 is a pickle's first.
    data = safetensors.numpy.save({'x' * count: np.zeros(3, np.float32)})
    assert list(parse_weights(data, Path('a.safetensors'))) == ['x' * count]


def test_yaml_that_builds_objects_is_refused(tiny_avatar_copy):
    (tiny_avatar_copy / 'avatar.yaml').write_text('format: !!python/object/apply:os.getcwd []\n')
    refused(tiny_avatar_copy, 'avatar.yaml', 'YAML')


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    'array, word',
    [
        (np.zeros((64, 511), np.float32), 'shape'),
        (np.zeros(512, np.float32), 'shape'),
        (np.zeros((9, 512), np.float32), 'neighbours'),
        (np.full((64, 512), np.nan, np.float32), 'not finite'),
        (np.zeros((64, 512), np.int32), 'float'),
        (np.zeros((64, 512), 'S4'), 'float'),
    ],
)
def test_a_manifold_that_does_not_fit_is_named(tiny_avatar_copy, array, word):
    replace(tiny_avatar_copy, 'manifold.npy', npy(array))
    refused(tiny_avatar_copy, 'manifold.npy', word)


@pytest.mark.parametrize(
    'change, word',
    [
        ({'mouth_rest': np.zeros((18, 3))}, 'mouth_rest'),
        ({'eyes': np.zeros((1, 16, 3)), 'brows': np.zeros((1, 12, 3))}, 'eyes'),
        ({'brows': np.zeros((7, 12, 3))}, 'brows'),
        ({'posture': np.zeros((100, 3))}, 'posture'),
        ({'shoulders': np.full((18, 3), np.inf)}, 'shoulders'),
        ({'scale': np.array(0.0)}, 'scale'),
        ({'scale': np.ones(1)}, 'scale'),
        ({'mean_points': None}, 'mean_points'),
        ({'nose_ring': np.zeros(3)}, 'nose_ring'),
    ],
)
def test_a_face_that_does_not_fit_is_named(tiny_avatar_copy, change, word):
    with np.load(tiny_avatar_copy / 'face.npz') as archive:
        arrays = {**archive, **change}
    stream = io.BytesIO()
    np.savez(stream, **{key: np.float32(value) for key, value in arrays.items() if value is not None})
    replace(tiny_avatar_copy, 'face.npz', stream.getvalue())
    refused(tiny_avatar_copy, 'face.npz', word)


@pytest.mark.parametrize('name', ['brows', 'posture'])
def test_brows_and_posture_may_be_left_out(tiny_avatar_copy, name):
    assert getattr(Avatar.load(tiny_avatar_copy).face, name) is not None
    with np.load(tiny_avatar_copy / 'face.npz') as archive:
        arrays = {key: archive[key] for key in archive if key != name}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    replace(tiny_avatar_copy, 'face.npz', stream.getvalue())
    assert getattr(Avatar.load(tiny_avatar_copy).face, name) is None


@pytest.mark.parametrize(
    'picture',
    [
        np.zeros((256, 512, 3), np.uint8),
        np.zeros((512, 512), np.uint8),
        np.zeros((512, 512, 4), np.uint8),
        np.zeros((512, 512, 3), np.uint16),
    ],
)
def test_a_candidate_image_that_does_not_fit_is_named(tiny_avatar_copy, picture):
    replace(tiny_avatar_copy, 'candidates/1.png', cv2.imencode('.png', picture)[1].tobytes())
    refused(tiny_avatar_copy, 'candidates/1.png', '512x512')


@pytest.mark.parametrize(
    'file, change, sentence',
    [
        ('apc.safetensors', {'bias': None}, 'tensor bias of the APC network is missing; its shape is (5,).'),
        (
            'mouth.safetensors',
            {'weight': np.zeros((3, 4), np.float16)},
            'tensor weight of the mouth network has the shape (3, 4), not (3, 5).',
        ),
        (
            'head_pose.safetensors',
            {'lstm.weight_ih_l0': np.zeros(3, np.float16)},
            'tensor lstm.weight_ih_l0 is not one of the head-pose network, which has 3 others.',
        ),
        (
            'renderer_live.safetensors',
            {'up.0.0.weight': np.zeros((4, 9, 1, 1), np.float16)},
            "tensor up.0.0.weight of the 'live' renderer network has the shape (4, 9, 1, 1), not (4, 8, 1, 1).",
        ),
        (
            'renderer_live.safetensors',
            {'head.bias': np.zeros(48, np.int8)},
            'tensor head.bias has the type int8, not a float.',
        ),
        (
            'renderer_live.safetensors',
            {'stem.0.weight': np.float16(1)},
            "tensor candidate_stem.0.weight of the 'live' renderer network has the shape (4, 192, 1, 1), "
            'not (32, 192, 1, 1).',
        ),
    ],
)
def test_tensors_of_another_network_are_named(tiny_avatar_copy, file, change, sentence):
    network = file.partition('.')[0].removesuffix('_live')
    tensors = {key: value for key, value in (tiny_weights()[network] | change).items() if value is not None}
    replace(tiny_avatar_copy, file, safetensors.numpy.save({key: np.array(value) for key, value in tensors.items()}))
    refused(tiny_avatar_copy, file, sentence)


def test_each_file_is_read_once_and_its_memory_let_go(tiny_avatar_copy):
    avatar = Avatar.load(tiny_avatar_copy)
    for name in FILES:
        (tiny_avatar_copy / name).rename(tiny_avatar_copy / f'{name}.away')
    reads = [partial(avatar.weights, name) for name in ('apc', 'mouth', 'head_pose', 'renderer')]
    reads += [avatar.manifold, avatar.candidates]
    first = [read() for read in reads]
    for read in reads:  # the avatar holds nothing that was taken
        with pytest.raises(AvatarError, match='the file is missing'):
            read()
    for name in FILES:
        (tiny_avatar_copy / f'{name}.away').rename(tiny_avatar_copy / name)
    for before, read in zip(first, reads, strict=True):
        np.testing.assert_equal(read(), before)


def test_a_manifold_that_nothing_is_projected_on_is_checked_and_not_kept(tiny_avatar_copy):
    edit(tiny_avatar_copy, lambda mapping: mapping['speech'].update(projection=0.0))
    avatar = Avatar.load(tiny_avatar_copy)
    (tiny_avatar_copy / 'manifold.npy').write_bytes(b'')
    with pytest.raises(AvatarError, match='checksum'):
        avatar.manifold()
    refused(tiny_avatar_copy, 'manifold.npy', 'checksum')


def test_weights_that_are_not_finite_are_named(tiny_avatar_copy):
    weights = tiny_weights()['mouth']
    key = 'weight'
    weights[key][2, 4] = np.inf
    replace(tiny_avatar_copy, 'mouth.safetensors', safetensors.numpy.save(weights))
    refused(tiny_avatar_copy, 'mouth.safetensors', key, 'not finite')


@pytest.mark.parametrize(
    'path, value, word',
    [
        ('colour', 'red', 'colour'),
        ('mouth.volume', 1, 'mouth.volume'),
        ('speech.neighbours', None, 'speech.neighbours'),
        ('speech.neighbours', 10.5, 'whole number'),
        ('speech.neighbours', True, 'speech.neighbours'),
        ('speech.projection', 1.5, 'from 0 to 1'),
        ('speech.projection', float('nan'), 'finite'),
        ('camera.matrix', [[1, 0, 0], [0, 1, 0]], '3 x 3'),
        ('camera.matrix', [[1, 0, 0], [0, 1, 0], [1, 0, 1]], 'pinhole'),
        ('camera.matrix', [[float('inf'), 0, 0], [0, 1, 0], [0, 0, 1]], 'camera.matrix'),
        ('camera.metres_per_unit', 0, 'camera.metres_per_unit'),
        ('camera.metres_per_unit', '1 cm', 'number'),
        ('mouth.amplitude', [1, 1], '3 numbers'),
        ('mouth.contour', 'yes please', 'true or false'),
        ('mouth.rests', 1, 'true or false'),
        ('eyes.seamless', None, 'true or false'),
        ('upper_body.offset', [3.0], '2 numbers'),
        ('head_pose.smoothing', [3.0, -1.0], 'head_pose.smoothing'),
        ('pose_range.euler_min', [13, 0, 0], 'pose_range.euler_min'),
        ('person.kind', 'ghost', 'person.kind'),
        ('renderer.size', 'enormous', 'renderer.size'),
        ('format', 2, 'format'),
        ('landmarks', 'ibug68', 'lsp73'),
        ('name', '../presenter', 'name'),
        ('mouth', [1, 2], 'mouth'),
        ('files', ['a'], 'files'),
    ],
)
def test_a_wrong_key_of_the_manifest_is_named(tiny_avatar_copy, path, value, word):
    def change(mapping):
        *sections, key = path.split('.')
        for section in sections:
            mapping = mapping[section]
        mapping[key] = value

    edit(tiny_avatar_copy, change)
    refused(tiny_avatar_copy, 'avatar.yaml', word, path.split('.')[-1])


@pytest.mark.parametrize('section', [key for key in tiny_manifest()] + ['files'])
def test_every_section_of_the_manifest_is_needed(tiny_avatar_copy, section):
    edit(tiny_avatar_copy, lambda mapping: mapping.pop(section))
    refused(tiny_avatar_copy, 'avatar.yaml', section, 'missing')


@pytest.mark.parametrize('text', ['', 'just words', '- a\n- b\n', 'format: [1', '\x00', '{1: 2}'])
def test_a_manifest_that_is_no_table_is_refused(tiny_avatar_copy, text):
    (tiny_avatar_copy / 'avatar.yaml').write_text(text)
    refused(tiny_avatar_copy, 'avatar.yaml')


@pytest.mark.parametrize('name', ['/etc/hostname', '../tiny/apc.safetensors', 'a/../../b', '', '.', 'a\\b', 7])
def test_a_file_name_cannot_leave_the_folder(tiny_avatar_copy, name):
    edit(tiny_avatar_copy, lambda mapping: mapping['files'].update({name: 64 * '0'}))
    refused(tiny_avatar_copy, 'avatar.yaml', 'relative path')
    edit(tiny_avatar_copy, lambda mapping: (mapping['files'].pop(name), mapping['renderer'].update(file=name)))
    refused(tiny_avatar_copy, 'avatar.yaml', 'relative path')


def test_a_file_that_the_manifest_does_not_list_is_not_read(tiny_avatar_copy):
    edit(tiny_avatar_copy, lambda mapping: mapping['files'].pop('apc.safetensors'))
    refused(tiny_avatar_copy, 'avatar.yaml', 'apc.safetensors')


AGREED = {'who': 'A. Person', 'purpose': 'museum guide', 'until': '2999-12-31', 'means': 'signed form'}
VIDEO = 64 * 'a'


def agree(folder, footage=None, named=(VIDEO,), **other) -> None:
    """Makes the avatar a real person's, with a record for ``footage``, of videos ``named`` in its manifest."""
    agreed = AGREED | other
    text = record_text(agreed, b'', None, {'talk.mp4': VIDEO} if footage is None else footage)
    consent = agreed | {'record_sha256': hashlib.sha256(text.encode()).hexdigest()}
    edit(folder, lambda mapping: mapping.update(person={'kind': 'real', 'consent': consent, 'footage': list(named)}))
    (folder / 'consent.json').write_text(text)


def unconsented(folder) -> str | None:
    avatar = Avatar.load(folder)
    assert avatar.consented is (avatar.unconsented is None)
    return avatar.unconsented


@pytest.mark.parametrize(
    'until, wrong',
    [
        (None, False),
        (datetime.date.today().isoformat(), False),
        ((datetime.date.today() - datetime.timedelta(days=1)).isoformat(), True),
    ],
)
def test_a_real_person_must_have_agreed_and_still_agree(tiny_avatar_copy, until, wrong):
    agree(tiny_avatar_copy, until=until)
    assert unconsented(tiny_avatar_copy) == (f'ran out on {until}' if wrong else None)
    edit(tiny_avatar_copy, lambda mapping: mapping['person'].update(consent=None))
    assert unconsented(tiny_avatar_copy) == 'is not on record'


def test_an_agreement_runs_out_while_the_avatar_is_loaded(tiny_avatar_copy, monkeypatch):
    class Later(datetime.date):
        @classmethod
        def today(cls):
            return cls(3000, 1, 1)

    agree(tiny_avatar_copy)
    avatar = Avatar.load(tiny_avatar_copy)
    assert avatar.consented
    monkeypatch.setattr(datetime, 'date', Later)
    assert avatar.unconsented == 'ran out on 2999-12-31'


def in_record(old: str, new: str):
    def change(folder):
        text = (folder / 'consent.json').read_text()
        assert old in text
        (folder / 'consent.json').write_text(text.replace(old, new))

    return change


def in_manifest(**values):
    return lambda folder: edit(folder, lambda mapping: mapping['person']['consent'].update(values))


def record_of_nothing(text: str):
    def change(folder):
        (folder / 'consent.json').write_text(text)
        in_manifest(record_sha256=hashlib.sha256(text.encode()).hexdigest())(folder)

    return change


@pytest.mark.parametrize(
    'change, word',
    [
        (lambda folder: (folder / 'consent.json').unlink(), 'missing'),
        (lambda folder: (folder / 'consent.json').write_text('{}'), 'SHA-256 is another'),
        (in_record('museum guide', 'casino'), 'SHA-256 is another'),
        (in_record(VIDEO, 64 * 'b'), 'SHA-256 is another'),
        (in_manifest(record_sha256=64 * '0'), 'SHA-256 is another'),
        (in_manifest(purpose='anything'), 'something else than the manifest'),
        (in_manifest(who='Anybody'), 'something else than the manifest'),
        (in_manifest(until=None), 'something else than the manifest'),
        *(
            (record_of_nothing(text), 'not a record')
            for text in (
                '{}',
                '',
                '[]',
                'null',
                '{"consent": {}, "footage": {}}',
                '{"consent": 1, "footage": []}',
                '[' * 10**5,
            )
        ),
        (lambda folder: edit(folder, lambda mapping: mapping['person'].update(footage=[64 * 'c'])), 'not part'),
        (lambda folder: edit(folder, lambda mapping: mapping['person'].update(footage=[VIDEO, 64 * 'c'])), 'not part'),
        (lambda folder: edit(folder, lambda mapping: mapping['person'].update(footage=[])), 'not part'),
    ],
)
def test_an_invented_exchanged_or_missing_agreement_is_none(tiny_avatar_copy, change, word):
    agree(tiny_avatar_copy)
    assert unconsented(tiny_avatar_copy) is None
    change(tiny_avatar_copy)
    assert word in unconsented(tiny_avatar_copy)


def test_an_agreement_does_not_fit_the_avatar_of_another_person(tiny_avatar_copy, tmp_path):
    # Of an imported avatar the videos are not known: it is bound to its pictures.
    agree(tiny_avatar_copy, footage=Avatar.load(tiny_avatar_copy).footage, named=())
    assert unconsented(tiny_avatar_copy) is None
    other = write_tiny_avatar(tmp_path / 'other', seed=1)
    person = yaml.safe_load((tiny_avatar_copy / 'avatar.yaml').read_text())['person']
    edit(other, lambda mapping: mapping.update(person=person))
    (other / 'consent.json').write_bytes((tiny_avatar_copy / 'consent.json').read_bytes())
    assert 'not part of the consent' in unconsented(other)


def test_the_agreement_stays_when_the_renderer_comes_in_8_bits(tiny_avatar_copy):
    agree(tiny_avatar_copy)
    add_int8_renderer(tiny_avatar_copy, b'graph', b'numbers', 50.0, 49.0)
    assert unconsented(tiny_avatar_copy) is None


def test_rewriting_keeps_the_model_card_and_replaces_the_rest(tiny_avatar_copy):
    (tiny_avatar_copy / 'MODEL_CARD.md').write_text('About this avatar')
    write_tiny_avatar(tiny_avatar_copy, seed=1)
    assert (tiny_avatar_copy / 'MODEL_CARD.md').read_text() == 'About this avatar'
    np.testing.assert_array_equal(Avatar.load(tiny_avatar_copy).candidates(), tiny_candidates(1))


def test_a_loaded_avatar_can_be_written_again(tiny_avatar, tmp_path):
    avatar = Avatar.load(tiny_avatar)
    weights = {name: avatar.weights(name) for name in ('apc', 'mouth', 'head_pose', 'renderer')}
    write_avatar(tmp_path / 'again', avatar.manifest, weights, avatar.manifold(), avatar.face, avatar.candidates())
    again = Avatar.load(tmp_path / 'again')
    np.testing.assert_array_equal(again.manifold(), avatar.manifold())
    np.testing.assert_array_equal(again.camera.matrix, avatar.camera.matrix)


def test_an_avatar_that_would_not_load_is_not_written(tmp_path):
    weights = tiny_weights()
    weights['apc']['bias'][0] = np.nan
    with pytest.raises(AvatarError, match='bias'):
        write_avatar(
            tmp_path / 'bad', tiny_manifest(), weights, np.zeros((64, 512), np.float32), tiny_face(), tiny_candidates()
        )
    with pytest.raises(AvatarError, match="'mouth'"):
        write_avatar(
            tmp_path / 'bad',
            tiny_manifest(),
            {'apc': weights['mouth']},
            np.zeros((64, 512), np.float32),
            tiny_face(),
            tiny_candidates(),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_not_overwritten(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(AvatarError, match='not overwritten'):
        write_tiny_avatar(tmp_path)
    assert (tmp_path / 'thesis.tex').read_text() == 'years of work'


def test_an_avatar_is_found_by_path_or_named_among_the_built_in(tiny_avatar, tmp_path, monkeypatch):
    assert find_avatar(tiny_avatar) == tiny_avatar
    shared = tmp_path / 'share' / 'lsp_ros' / 'avatars'
    shared.mkdir(parents=True)
    (shared / 'someone').symlink_to(tiny_avatar)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert find_avatar('someone') == shared / 'someone'
    for name in ('nobody', '../avatars/someone', '/nowhere'):
        with pytest.raises(AvatarError, match='someone'):
            find_avatar(name)
    with pytest.raises(AvatarError, match='no avatar.yaml'):
        find_avatar(tmp_path)


def test_a_zip_that_is_no_npz_is_refused(tiny_avatar_copy):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
        archive.writestr('mean_points.npy', b'not an array')
    replace(tiny_avatar_copy, 'face.npz', stream.getvalue())
    refused(tiny_avatar_copy, 'face.npz')
