"""A subject's configuration file, key by key."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lsp_ros.official_release.files import ReleaseError, check_download, line, short


@dataclass(frozen=True)
class Limits:
    """From where to where a number may be; what the manifest that is written allows."""

    low: float = -sys.float_info.max
    high: float = sys.float_info.max

    def hold(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        if self.high < sys.float_info.max:
            return f' from {self.low:g} to {self.high:g}'
        return f' of at least {self.low:g}' if self.low > -sys.float_info.max else ''


NO_LIMITS, GAIN = Limits(), Limits(0)


class Settings:
    """``model_params`` of a subject's yaml; keys as 'APC.Knear'. Remembers which keys were asked for."""

    _IDLE = {'Headpose.sigma', 'Image2Image.save_input'}  # known, and without an effect in the authors' program too

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file():
            check_download(path)
        try:
            table = yaml.safe_load(path.read_text(encoding='utf-8'))
        except OSError as error:
            raise ReleaseError(
                f'{path}: cannot be read ({line(error)}); the configuration files are in the folder '
                "config of the authors' repository."
            ) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ReleaseError(f'{path}: is not valid YAML ({line(error)}).') from None
        sections = table.get('model_params') if isinstance(table, dict) else None
        if not isinstance(sections, dict):
            raise ReleaseError(f'{path}: the key model_params is missing.')
        self._values = {
            f'{name}.{key}': value
            for name, section in sections.items()
            if isinstance(section, dict)
            for key, value in section.items()
        }
        self._used: set[str] = set()

    def value(self, key: str, allowed: str, fits: Callable[[Any], bool]) -> Any:
        self._used.add(key)
        if key not in self._values:
            raise ReleaseError(f'{self.path}: the key model_params.{key} is missing.')
        value = self._values[key]
        if not fits(value):
            raise ReleaseError(f'{self.path}: model_params.{key} must be {allowed}, not {short(value)}.')
        return value

    def one_of(self, key: str, *allowed: Any) -> Any:
        names = ' or '.join(map(repr, allowed))
        return self.value(
            key, names, lambda value: any(value == each and type(value) is type(each) for each in allowed)
        )

    def text(self, key: str) -> str:
        return self.value(key, 'a text', lambda value: isinstance(value, str) and bool(value))

    def number(self, key: str, limits: Limits = NO_LIMITS) -> float:
        return float(self.value(key, f'a number{limits}', limits.hold))

    def whole_number(self, key: str, limits: Limits) -> int:
        return int(
            self.value(key, f'a whole number{limits}', lambda value: isinstance(value, int) and limits.hold(value))
        )

    def numbers(self, key: str, count: int, limits: Limits = NO_LIMITS) -> list[float]:
        value = self.value(
            key,
            f'a list of {count} numbers{limits}',
            lambda value: isinstance(value, list) and len(value) == count and all(map(limits.hold, value)),
        )
        return [float(number) for number in value]

    def unused(self) -> list[str]:
        return [
            f'{self.path}: model_params.{key}'
            for key in self._values
            if key not in self._used and key not in self._IDLE
        ]
