"""The renderer's sizes, how each is fed and read, and the engines by name. Without torch: a live start stays quick."""

from dataclasses import dataclass

PICTURE = 512
CANDIDATES = 4
ENGINES = ('auto', 'torch', 'openvino', 'tensorrt')


@dataclass(frozen=True)
class RendererSize:
    """What belongs to a renderer's weights besides the weights.

    subpixel   its feature maps are drawn to a fraction of a pixel with smooth edges: motion smaller than a pixel is
               seen and the picture does not step. False: truncated to whole pixels, as the paper's
               renderers were trained
    rounding   grey levels added before a picture is truncated to uint8: 0 as in the official release,
               0.5 rounds to the nearest
    """

    subpixel: bool
    rounding: float


SIZES = {
    'live': RendererSize(subpixel=True, rounding=0.5),
    'normal': RendererSize(subpixel=False, rounding=0.0),
    'large': RendererSize(subpixel=False, rounding=0.0),
}


def renderer_size(name: str) -> RendererSize:
    """Raises ValueError for a name that is not 'live', 'normal' or 'large'."""
    if name not in SIZES:
        raise ValueError(f"renderer size '{name}' is not one of {', '.join(SIZES)}")
    return SIZES[name]
