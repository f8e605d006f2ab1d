"""Batches of pictures on an NVIDIA GPU, uploaded, drawn and downloaded side by side."""

from collections.abc import Callable

import numpy as np
import torch

from lsp_ros.avatar.architecture import PICTURE

# Larger batches are cut into chunks of this many pictures; two chunks are on their way at any time.
CHUNK = 8
LANES = 2


class Pipeline:
    """Runs a network (B, 512, 512) uint8 -> (B, 512, 512, 3) uint8, both on the GPU, for arrays of the host.

    make_network  makes the network of one lane: two lanes run at the same time
    record        as a CUDA graph, which costs one launch instead of hundreds. One is recorded when a batch size
                  first comes (seconds) or by ``prepare``, for 1, 2, 4 and 8 pictures; others are padded to the next.

    While one chunk is drawn, the next is uploaded and the last downloaded. Pictures are downloaded straight
    into the page-locked array that is returned, whose memory is used again when it is let go: whoever keeps hours
    of pictures should keep copies.
    """

    def __init__(self, make_network: Callable[[], Callable[[torch.Tensor], torch.Tensor]], record: bool = True):
        self._lanes = [(make_network(), torch.cuda.Stream()) for _ in range(LANES)]
        self._record = record
        self._slots: dict[tuple[int, int], _Slot] = {}

    def prepare(self, together: int) -> None:
        """Gets ready for all batches of up to so many pictures."""
        for count in range(1, together + 1):
            for first in range(0, count, CHUNK):
                self._slot(first // CHUNK % LANES, min(CHUNK, count - first))

    def draw(self, feature_maps: np.ndarray) -> np.ndarray:
        """(B, 512, 512) uint8 -> (B, 512, 512, 3) uint8, an array of its own."""
        pictures = torch.empty((len(feature_maps), PICTURE, PICTURE, 3), dtype=torch.uint8, pin_memory=True)
        chunks = [slice(first, first + CHUNK) for first in range(0, len(feature_maps), CHUNK)]
        slots = [self._slot(number % LANES, len(feature_maps[chunk])) for number, chunk in enumerate(chunks)]
        for slot, chunk in zip(slots, chunks, strict=True):
            slot.start(feature_maps[chunk], pictures[chunk])
        for _, stream in self._lanes:
            stream.synchronize()
        return pictures.numpy()

    def _slot(self, lane: int, count: int) -> '_Slot':
        size = 1 << (count - 1).bit_length()
        if (lane, size) not in self._slots:
            self._slots[lane, size] = _Slot(*self._lanes[lane], size, self._record)
        return self._slots[lane, size]


class _Slot:
    """One batch size of one lane: page-locked memory for its feature maps, and what runs on the lane's stream."""

    def __init__(
        self, network: Callable[[torch.Tensor], torch.Tensor], stream: torch.cuda.Stream, size: int, record: bool
    ):
        self._network, self._stream = network, stream
        self._given = torch.zeros((size, PICTURE, PICTURE), dtype=torch.uint8, pin_memory=True)
        self._lines = self._given.cuda()
        self._graph = None
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # kernels are chosen and loaded, which must not be recorded
                self._pictures = self._run()
        stream.synchronize()
        if record:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode='thread_local'):
                self._pictures = self._run()

    def start(self, feature_maps: np.ndarray, pictures: torch.Tensor) -> None:
        """Returns as soon as the work is in the stream."""
        self._stream.synchronize()  # the last feature maps must have been uploaded
        self._given.numpy()[: len(feature_maps)] = feature_maps
        with torch.cuda.stream(self._stream):
            if self._graph:
                self._graph.replay()
            else:
                self._pictures = self._run()
            pictures.copy_(self._pictures[: len(pictures)], non_blocking=True)

    @torch.inference_mode()
    @torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)
    def _run(self) -> torch.Tensor:
        self._lines.copy_(self._given, non_blocking=True)
        return self._network(self._lines).contiguous()
