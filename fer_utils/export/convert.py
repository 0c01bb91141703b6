"""PyTorch → ONNX: the graph with its preprocessing, the weights in half precision."""

import json
import logging
import warnings
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
import onnxscript  # torch.onnx needs it
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ..errors import FerError
from ..files import write_atomic
from ..models import IMAGENET, Recognizer
from ..models.recognizer import MEAN, STD

OPSET = 18  # the first with an antialiased Resize; runtimes since 2023 know it
SIDE = 48  # pixels of a face
PRECISIONS = ("float32", "float16")


class Answer(nn.Module):
    """A recogniser that answers with probabilities instead of logits."""

    def __init__(self, model: Recognizer):
        super().__init__()
        self.model = model

    def forward(self, faces: Tensor) -> Tensor:
        return self.model(faces).softmax(1)


def export_onnx(
    model: Recognizer, path: str | Path, precision: str = "float16", **metadata
) -> Path:
    """Write a network to one ONNX file and return its path.

    Its input `faces` is float32 [N,1,48,48], grey in 0..1; its output `probabilities`
    float32 [N,classes]. Resizing, normalisation and softmax are in the graph; classes
    and `metadata` (JSON values: views, temperature, recipe, scores) lie beside it, on
    top of what the model's own file said. `precision`: how weights are stored,
    `float32` or `float16`, half as large; both compute in float32.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise FerError(f"precision {precision!r}: use one of {known}")
    graph = to_graph(model)
    if precision == "float16":
        halve(graph)
    mean, std = IMAGENET if model.imagenet else (MEAN, STD)
    header = getattr(model, "metadata", {}) | {
        "model": model.name,
        "classes": list(model.classes),
        "input_size": model.input_size,
        "label_head": False,  # the graph has the first head only
        "normalisation": {"mean": mean, "std": std},
        "precision": precision,
    }
    header = header | metadata
    texts = {key: json.dumps(value) for key, value in header.items()}
    helper.set_model_props(graph, texts)
    path = Path(path)
    write_atomic(path, graph.SerializeToString())
    return path


def to_graph(model: Recognizer) -> onnx.ModelProto:
    """Return the ONNX graph of a network, as the runtime will optimise it."""
    model = model.cpu().eval()
    faces = torch.rand(2, 1, SIDE, SIDE)
    many = torch.export.Dim("N")
    with quiet():
        program = torch.onnx.export(
            Answer(model).eval(),
            (faces,),
            dynamo=True,
            input_names=["faces"],
            output_names=["probabilities"],
            dynamic_shapes=({0: many},),
            opset_version=OPSET,
            verbose=False,
            optimize=False,
        )
        # Constants only: folded batch norms would round twice in half precision. The
        # runtime folds them when it loads.
        onnxscript.optimizer.fold_constants(program.model)
        onnxscript.optimizer.remove_unused_nodes(program.model)
    graph = program.model_proto
    strip(graph)
    return graph


@contextmanager
def quiet():
    """Keep the exporter's talk about its own steps to itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(StringIO()):
            yield
    finally:
        log.setLevel(level)


def strip(graph: onnx.ModelProto) -> None:
    """Remove what the exporter noted beside the graph: traces of files and names."""
    inside = graph.graph
    for part in (graph, inside, *inside.node, *inside.input, *inside.output):
        del part.metadata_props[:]
    for part in (*inside.value_info, *inside.initializer):
        del part.metadata_props[:]
    del inside.value_info[:]
    for node in inside.node:
        node.doc_string = ""


def halve(graph: onnx.ModelProto) -> None:
    """Store kernels in half precision; the runtime widens them once, when it loads."""
    casts = []
    for weights in graph.graph.initializer:
        values = numpy_helper.to_array(weights)
        half = values.astype(np.float16)
        if values.dtype != np.float32 or values.ndim < 2 or not np.isfinite(half).all():
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        cast = helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT)
        casts.append(cast)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
