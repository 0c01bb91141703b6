"""Networks as ONNX files, run by ONNX Runtime: small and quick, without PyTorch."""

import os
from collections.abc import Mapping

import numpy as np

from .errors import FerError, reason

# Some builds of ONNX Runtime report its use to their maker, from a thread of their own,
# without which a forked process could not end. Nothing is to leave this machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


class Session:
    """A network in ONNX format; threads may share it, and so may forked processes.

    One call computes on one thread: there are none that a forked process could lack,
    or that slow down other programs while they wait. `FerError` if the file is damaged.
    """

    def __init__(self, model: bytes):
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # if it was imported before
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; warnings concern the file's author
        providers = ["CPUExecutionProvider"]
        self._model = bytes(model)
        try:
            session = onnxruntime.InferenceSession(self._model, options, providers)
        except Exception as error:  # a damaged file can fail at every step
            why = f"this is not a network in ONNX format ({reason(error)})"
            raise FerError(f"{why}; export it again") from None
        self._run = session.run
        self.inputs = [each.name for each in session.get_inputs()]
        self.metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map

    def run(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Return the network's outputs for inputs by name."""
        return self._run(None, inputs)

    def __reduce__(self):
        return Session, (self._model,)
