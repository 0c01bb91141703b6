"""A trained network as one ONNX file that answers anywhere, without PyTorch."""

from ..lazy import need

need("torch", "exporting a network", "course")
need("onnx onnxscript", "exporting a network", "export")

from .convert import export_onnx
from .parity import Parity, parity
from .quantize import quantize
