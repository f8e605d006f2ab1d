"""The pip build: runs this folder's CMakeLists.txt and packs what it installs into the wheel.

Everything declarative stands in pyproject.toml. colcon never reads this file: package.xml says ament_cmake.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Command, Distribution, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
GENERATED = ('msg', '*.so')  # what rosidl adds to the Python package
NODE_SCRIPT = '#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/../../bin/python" -m lsp_ros.nodes.{node} "$@"\n'


def ros_prefix() -> Path:
    """Where the ROS wheels live: the environment, or pip's build environment."""
    import rosidl_pycommon  # <prefix>/lib/pythonX.Y/site-packages/rosidl_pycommon/__init__.py

    return Path(rosidl_pycommon.__file__).resolve().parents[4]


def cmake_install(build_folder: Path, stage: Path) -> None:
    """Configure, build and install the CMake project into the folder `stage`, both made anew."""
    prefix = ros_prefix()
    environment = dict(os.environ)
    environment['PATH'] = os.pathsep.join([str(prefix / 'bin'), str(Path(sys.executable).parent), environment['PATH']])
    environment['AMENT_PREFIX_PATH'] = os.pathsep.join(
        filter(None, [str(prefix), environment.get('AMENT_PREFIX_PATH')])
    )
    configure = [
        'cmake',
        '-S', str(ROOT),
        '-B', str(build_folder),
        '-G', 'Ninja',
        '-DCMAKE_BUILD_TYPE=Release',
        '-DBUILD_TESTING=OFF',
        f'-DCMAKE_PREFIX_PATH={prefix}',
        f'-DCMAKE_INSTALL_PREFIX={stage}',
        f'-DPython3_EXECUTABLE={sys.executable}',
    ]  # fmt: skip
    shutil.rmtree(build_folder, ignore_errors=True)  # its cache may name pip's last, now deleted, build environment
    shutil.rmtree(stage, ignore_errors=True)
    for command in (configure, ['cmake', '--build', str(build_folder)], ['cmake', '--install', str(build_folder)]):
        if subprocess.run(command, env=environment).returncode != 0:
            raise SystemExit(f'lsp_ros: {shlex.join(command)} failed; its own message stands above')


class BuildMessages(Command):
    """Adds the generated messages and what belongs under lib/ and share/ to the wheel."""

    description = 'generate the ROS messages'
    user_options = []

    def initialize_options(self):
        self.build_lib = None
        self.editable_mode = False

    def finalize_options(self):
        self.set_undefined_options('build', ('build_lib', 'build_lib'))

    def run(self):
        work = ROOT / 'build' / 'pip'
        stage = work / 'stage'
        cmake_install(work / 'cmake', stage)
        (python,) = stage.glob('l*/python*/*-packages')
        generated = [path for pattern in GENERATED for path in (python / 'lsp_ros').glob(pattern)]
        if self.editable_mode:
            # lsp_ros/__init__.py of the checkout extends its path to here; no __init__.py must stand in its way.
            site = Path(sysconfig.get_path('platlib')).relative_to(sys.prefix)
            self.add_data(python, generated, site)
        else:
            for path in generated:
                target = Path(self.build_lib) / 'lsp_ros' / path.name
                if path.is_dir():
                    shutil.copytree(path, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns('*.c'))
                else:
                    shutil.copy2(path, target)

        for script in (stage / 'lib' / 'lsp_ros').iterdir():  # a wheel may land anywhere: find Python from there
            script.write_text(NODE_SCRIPT.format(node=script.name))
        if self.editable_mode:
            shutil.rmtree(stage / 'share' / 'lsp_ros' / 'avatars', ignore_errors=True)  # read from the checkout
        # bin/ stays behind: `lsp` is a console script of the wheel.
        libraries = (stage / 'lib').glob('*.so')
        self.add_data(stage, [*libraries, stage / 'lib' / 'lsp_ros', stage / 'include', stage / 'share'], Path())

    def add_data(self, base: Path, roots: list[Path], target: Path) -> None:
        """Install the files under `roots` to <prefix>/target, at their place relative to `base`."""
        files = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob('*')))]
        for path in files:
            if path.is_file() and path.suffix != '.c' and '__pycache__' not in path.parts:
                folder = target / path.parent.relative_to(base)
                self.distribution.data_files.append((str(folder), [str(path)]))

    # The rest of what setuptools asks of a part of `build`.
    def get_source_files(self):
        return ['CMakeLists.txt', 'package.xml', *(str(path.relative_to(ROOT)) for path in ROOT.glob('msg/*.msg'))]

    def get_outputs(self):
        return []

    def get_output_mapping(self):
        return {}


class Build(build):
    sub_commands = [*build.sub_commands, ('build_messages', None)]


class PlatformDistribution(Distribution):
    """The wheel carries compiled message libraries and, also when editable, data files."""

    def has_ext_modules(self):
        return True

    def has_data(self):
        return True


setup(
    cmdclass={'build': Build, 'build_messages': BuildMessages},
    distclass=PlatformDistribution,
    data_files=[('share/lsp_ros', ['package.xml'])],
)
