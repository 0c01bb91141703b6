"""Networks as ONNX files, run by ONNX Runtime: small, quick to load, without PyTorch."""

import os
from collections.abc import Mapping

import numpy as np

from .errors import FerError, reason


class Session:
    """A network in ONNX format; several threads may use one, and forked processes too.

    `threads`: how many compute one call. Raises `FerError` if the file is damaged.
    """

    def __init__(self, model: bytes, threads: int = 1):
        self._model, self._threads = bytes(model), threads
        self._session = self._load()
        self._process = os.getpid()

    def _load(self):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait slow down everything else on the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors; warnings concern the file's author
        providers = ["CPUExecutionProvider"]
        try:
            return onnxruntime.InferenceSession(self._model, options, providers)
        except Exception as error:  # a damaged file can fail at every step
            why = f"this is not a network in ONNX format ({reason(error)})"
            raise FerError(f"{why}; export it again") from None

    def run(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Return the network's outputs for inputs by name."""
        return self._session_here().run(None, inputs)

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._session_here().get_modelmeta().custom_metadata_map

    @property
    def inputs(self) -> list[str]:
        return [each.name for each in self._session_here().get_inputs()]

    def _session_here(self):
        """Return this process's session: a forked one lacks its parent's threads."""
        if self._process != os.getpid():
            self._session, self._process = self._load(), os.getpid()
        return self._session

    def __getstate__(self) -> tuple[bytes, int]:
        return self._model, self._threads

    def __setstate__(self, state: tuple[bytes, int]) -> None:
        self.__init__(*state)
