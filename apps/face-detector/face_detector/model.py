"""A TFLite model as a function of one array. One thread each: two pictures in parallel are faster than one on two
threads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from pcloud.errors import Unavailable

__all__ = ["Model"]


class Model:
    """Loads `path` with LiteRT, or with tflite-runtime if only that exists (32-bit ARM)."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise Unavailable(f"the model {path} is missing; correct the setting `model`, or install the app again")
        content = path.read_bytes()
        self.fingerprint = hashlib.sha256(content).hexdigest()
        try:
            self._interpreter = _interpreter(content)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise Unavailable(f"the model {path} cannot be used: {error}") from error
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()
        self.height, self.width = (int(side) for side in self._input["shape"][1:3])

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        """`values`: height × width × 3; returns the outputs in the model's order, without the batch's dimension."""
        self._interpreter.set_tensor(self._input["index"], values[np.newaxis].astype(np.float32, copy=False))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output["index"])[0] for output in self._outputs]


def _interpreter(content: bytes) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tflite_runtime.interpreter import Interpreter  # pyright: ignore[reportMissingImports]
    return Interpreter(model_content=content, num_threads=1)
