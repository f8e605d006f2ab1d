"""Somebody's program that uses a Portrait; run by ``test_host_process.py``. Prints what of the process has changed."""

import gc
import json
import logging
import os
import resource
import signal
import sys
import warnings

import cv2
import numpy as np
import scipy.ndimage  # noqa: F401  (its import adds a filter of warnings)
import threadpoolctl
import torch

LIBRARIES = 'threads of BLAS and OpenMP'


def process() -> dict:
    """What belongs to the whole process, and so to the program."""
    return {
        LIBRARIES: {pool['filepath']: pool['num_threads'] for pool in threadpoolctl.threadpool_info()},
        'threads of torch': [torch.get_num_threads(), torch.get_num_interop_threads()],
        'threads of OpenCV': cv2.getNumThreads(),
        'gradients and types of torch': [torch.is_grad_enabled(), str(torch.get_default_dtype())],
        'garbage collector': [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        'environment': dict(os.environ),
        'signal handlers': {number.name: str(signal.getsignal(number)) for number in sorted(signal.valid_signals())
                            if isinstance(number, signal.Signals)},
        'blocked modules': sorted(name for name, module in sys.modules.items() if module is None),
        'import path': list(sys.path),
        'warnings filters': [str(entry) for entry in warnings.filters],
        'handlers of the root logger': [str(handler) for handler in logging.getLogger().handlers],
        'level of the root logger': logging.getLogger().level,
        'floating point errors': np.geterr(),
        'random numbers of NumPy': np.random.get_state()[1].sum().item(),
        'random numbers of torch': torch.random.get_rng_state().sum().item(),
        'hooks': [str(sys.excepthook), str(sys.unraisablehook), str(sys.gettrace())],
        'priority': os.getpriority(os.PRIO_PROCESS, 0),
        'cores': sorted(os.sched_getaffinity(0)),
        'limits': [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
        'working directory': os.getcwd(),
    }  # fmt: skip


def use(avatar: str, what: str) -> None:
    samples = (0.1 * np.random.default_rng(0).normal(size=2_000)).astype(np.float32)
    if what == 'stages':
        from lsp_ros.avatar.load import Avatar
        from lsp_ros.motion.clip import whole_clip_stage
        from lsp_ros.motion.stage import MotionStage
        from lsp_ros.speech.stage import SpeechStage

        loaded = Avatar.load(avatar)
        features = SpeechStage(loaded).push(samples)
        for motion in (MotionStage(loaded), whole_clip_stage(loaded)):
            motion.push(features)
            motion.flush()
        return
    from lsp_ros.portrait import Portrait

    options = {'openvino': {}, 'torch': {'threads': 1}}[what]
    portrait = Portrait(avatar, what, **options)
    pictures = [*portrait.push(samples), *portrait.flush()]
    assert len(pictures) == portrait.pictures_in(len(samples))


before = process()
use(*sys.argv[1:])
after = process()
# Libraries that came with an import in between do as they please.
after[LIBRARIES] = {path: threads for path, threads in after[LIBRARIES].items() if path in before[LIBRARIES]}
print(json.dumps({name: [before[name], after[name]] for name in before if before[name] != after[name]}))
