"""The face detector as a program of its own: pictures on standard input, what MediaPipe sees in them on standard
output.

MediaPipe's last wheel that carries its models wants NumPy 1 and protobuf 4, which nothing else here does; it therefore
lives in an environment of its own (``make setup-capture``) and this file, run there, imports nothing of lsp_ros.
``lsp_ros.capture.landmarks.Detector`` starts it and speaks with it.

    python detector.py [--landmarker FACE_LANDMARKER.task]

    request  '<III' height, width, flags, then height * width * 3 bytes RGB
    answer   '<BB' faces (0 or 1), hands (0 to 2); 478 x 3 float32 landmarks, x and y in pixels, z (smaller is nearer)
             in pixels too; hands x 21 x 2 float32 pixels; 256 x 256 bytes of body (255) and background if asked for
"""

import argparse
import os
import struct
import sys
from typing import Any

import numpy as np

REQUEST, ANSWER = struct.Struct('<III'), struct.Struct('<BB')
POINTS, HAND_POINTS, MASK = 478, 21, 256
FORGET, HANDS, BODY = 1, 2, 4  # flags: a new clip begins; look for hands; find the body


class MediaPipe:
    """MediaPipe's solutions, each made when it is first asked for."""

    def __init__(self, task: str | None) -> None:
        import mediapipe

        self._mediapipe, self._task = mediapipe, task
        self._face: Any = None
        self._hands: Any = None
        self._body: Any = None
        self._time = 0

    def forget(self) -> None:
        if self._face:
            self._face.close()
        self._face = None

    def face(self, image: np.ndarray) -> np.ndarray | None:
        """(478, 3) float32 pixels, or None."""
        height, width = image.shape[:2]
        if self._task:
            found = self._task_landmarks(image)
        else:
            if not self._face:
                self._face = self._mediapipe.solutions.face_mesh.FaceMesh(refine_landmarks=True, max_num_faces=1)
            faces = self._face.process(image).multi_face_landmarks
            found = faces[0].landmark if faces else None
        if found is None:
            return None
        return np.array([(point.x * width, point.y * height, point.z * width) for point in found], np.float32)

    def _task_landmarks(self, image: np.ndarray) -> list[Any] | None:  # of MediaPipe's landmarks
        vision = self._mediapipe.tasks.vision
        if not self._face:
            base = self._mediapipe.tasks.BaseOptions(model_asset_path=self._task)
            options = vision.FaceLandmarkerOptions(base_options=base, running_mode=vision.RunningMode.VIDEO)
            self._face, self._time = vision.FaceLandmarker.create_from_options(options), 0
        self._time += 33
        picture = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=image)
        faces = self._face.detect_for_video(picture, self._time).face_landmarks
        return faces[0] if faces else None

    def hands(self, image: np.ndarray) -> list[np.ndarray]:
        """(21, 2) float32 pixels for each hand, at most two."""
        if not self._hands:
            self._hands = self._mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=2)
        size = np.array([image.shape[1], image.shape[0]], np.float32)
        found = self._hands.process(image).multi_hand_landmarks or []
        return [np.array([(point.x, point.y) for point in hand.landmark], np.float32) * size for hand in found[:2]]

    def body(self, image: np.ndarray) -> np.ndarray:
        """(256, 256) uint8, how surely a pixel belongs to a person."""
        if not self._body:
            self._body = self._mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
        import cv2

        share = cv2.resize(self._body.process(image).segmentation_mask, (MASK, MASK), interpolation=cv2.INTER_AREA)
        return np.round(255 * share.clip(0, 1)).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=' '.join(__doc__.split('\n\n')[0].split()))
    parser.add_argument('--landmarker', metavar='FILE', help='a face_landmarker.task to use instead')
    mediapipe = MediaPipe(parser.parse_args().landmarker)
    # Answers have a channel of their own: whatever a library prints goes to standard error.
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), 'wb')
    os.dup2(2, 1)
    answers.write(b'ready')
    answers.flush()
    while header := requests.read(REQUEST.size):
        height, width, flags = REQUEST.unpack(header)
        image = np.frombuffer(requests.read(height * width * 3), np.uint8).reshape(height, width, 3)
        if flags & FORGET:
            mediapipe.forget()
        face = mediapipe.face(image)
        hands = mediapipe.hands(image) if flags & HANDS else []
        answers.write(ANSWER.pack(face is not None, len(hands)))
        answers.write(b'' if face is None else face.tobytes())
        answers.write(b''.join(hand.tobytes() for hand in hands))
        if flags & BODY:
            answers.write(mediapipe.body(image).tobytes())
        answers.flush()


if __name__ == '__main__':
    main()
