"""The small visible mark that says: this picture is generated."""

import cv2
import numpy as np

TEXT = 'AI'
MARGIN = 12
PADDING = 7
OPACITY = 0.45


class Mark:
    """White letters on a dark, half transparent ground in the lower right corner; drawn once, then laid over."""

    def __init__(self, text: str = TEXT):
        font, scale, thickness = cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1
        (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
        letters = np.zeros((height + 2 * PADDING, width + 2 * PADDING), np.uint8)
        cv2.putText(letters, text, (PADDING, PADDING + height), font, scale, 255, thickness, cv2.LINE_AA)
        share = letters[..., None].astype(np.float32) / 255
        # picture * kept + added, in whole numbers: the ground darkens, the letters cover.
        self._kept = ((1 - share) * (1 - OPACITY) * 256).astype(np.uint16)
        self._added = (share * 0.9 * 255 * 256).astype(np.uint16)

    @property
    def region(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the mark covers."""
        height, width = self._kept.shape[:2]
        return slice(-MARGIN - height, -MARGIN), slice(-MARGIN - width, -MARGIN)

    def draw(self, picture: np.ndarray) -> None:
        """Marks an (H, W, 3) uint8 picture in place."""
        patch = picture[self.region]
        patch[:] = (patch * self._kept + self._added) >> 8
