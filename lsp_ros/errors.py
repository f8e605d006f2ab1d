"""The base of the package's errors, so that a program around it can catch all of them as one."""


class LspError(Exception):
    """What this package refuses or cannot do; its text is one sentence that names the file or value and what is wrong.

    Each kind is a ValueError (something given does not fit) or a RuntimeError (this machine cannot do it) as well:
    AvatarError, CaptureError, ConsentError, DatasetError, DetectorError, EngineError, GraphError, InvalidError,
    MeasurementError, MediaError, ReleaseError.
    """
