import numpy as np
import pytest
import synthetic_face as synthetic

from lsp_ros.capture.detection import Detection
from lsp_ros.capture.take import Take
from lsp_ros.capture.video import Clip, Crop
from lsp_ros.capture.work import CaptureError


def test_pictures_that_have_gone_during_a_run_are_one_sentence(tmp_path):
    take = Take('0' * 64, Clip(tmp_path / 'film.mkv', 512, 512, np.arange(3) / 25, ()), np.zeros((0, 4)))
    detection = Detection(tmp_path, synthetic.DotDetector)
    with pytest.raises(CaptureError, match='000000.npz: is gone or was changed during the run'):
        next(detection.images(take, Crop(0, 0, 512), np.array([1])))
