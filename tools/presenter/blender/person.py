"""What makes one presenter: identity, tone of skin, hair, eyes, clothes. Another person is another entry."""

from __future__ import annotations

from dataclasses import dataclass, field

from strands import Style

Colour = tuple[float, float, float]


@dataclass
class Person:
    name: str
    seed: int  # of the ICT identity modes
    sigma: float  # their strength
    skin_tone: Colour = (1.0, 0.985, 0.925)  # factor on the albedo
    skin_saturation: float = 0.93
    melanin: float = 0.87  # of the hair
    redness: float = 0.0
    brow_melanin: float = 0.88
    iris: Colour = (1, 1, 1)  # factor on the iris picture
    cloth_dark: Colour = (0.020, 0.030, 0.050)
    cloth_light: Colour = (0.044, 0.060, 0.092)
    style: Style = field(default_factory=Style)


PEOPLE = {
    'robin': Person('Robin', 21, 0.6),
    'other': Person(
        'Kim', 5, 0.6, (0.62, 0.53, 0.46), 0.84, 0.97, 0.0, 0.97, (0.35, 0.25, 0.18),
        (0.10, 0.085, 0.07), (0.20, 0.17, 0.14), Style(length_sides=0.2, length_top=0.5, brow_density=0.42),
    ),
}  # fmt: skip
