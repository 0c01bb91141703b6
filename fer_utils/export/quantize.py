"""float → int8: a third of the size, for hardware that counts in whole numbers."""

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization as q
from onnxruntime.quantization.shape_inference import quant_pre_process

from ..errors import FerError
from ..evaluation.tta import tta_views
from ..files import write_atomic

BATCH = 64
LEAST = 64  # faces; fewer would show too little of what the layers can say


class Faces(q.CalibrationDataReader):
    """Calibration images, batch by batch, in the form that the network takes."""

    def __init__(self, images: np.ndarray):
        seen = tta_views(images, 1)[0][:, None]
        self.batches = iter(np.array_split(seen, max(1, len(seen) // BATCH)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"faces": batch}


def quantize(source: str | Path, target: str | Path, images: np.ndarray) -> Path:
    """Write a float32 network from `export_onnx` with int8 weights and activations.

    `images` uint8 [N,48,48], a thousand or so of the Training part, show how large each
    layer's outputs get. Weights have a scale per channel, activations one per layer
    (Jacob et al., 2018, arXiv:1712.05877). First and last layer keep their precision:
    they cost little and lose most.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or len(images) < LEAST:
        shape = f"{images.dtype} {images.shape}"
        raise FerError(f"images {shape}: pass at least {LEAST} faces, uint8 [N,48,48]")
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(action="ignore"),
    ):
        ready, done = Path(folder, "ready.onnx"), Path(folder, "done.onnx")
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        graph = onnx.load(ready)
        q.quantize_static(
            str(ready),
            str(done),
            Faces(images),
            quant_format=q.QuantFormat.QDQ,
            per_channel=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            calibrate_method=q.CalibrationMethod.MinMax,
            nodes_to_exclude=ends(graph),
        )
        made = onnx.load(done)
    header = onnx.load(source).metadata_props  # the tools added their own to it
    texts = {each.key: each.value for each in header}
    texts["precision"] = json.dumps("int8")
    onnx.helper.set_model_props(made, texts)
    target = Path(target)
    write_atomic(target, made.SerializeToString())
    return target


def ends(graph: onnx.ModelProto) -> list[str]:
    """Return the names of all nodes up to the first convolution, and of the last."""
    nodes = [*graph.graph.node]
    first = next(i for i, node in enumerate(nodes) if node.op_type == "Conv")
    last = max(i for i, node in enumerate(nodes) if node.op_type in ("Gemm", "MatMul"))
    return [node.name for node in (*nodes[: first + 1], *nodes[last:])]
