"""Read ONNX files that others wrote, as models that predict the same and can be trained on."""

from chainrule.onnx.reading.loading import UnsupportedOperatorsError, build, load

__all__ = ["UnsupportedOperatorsError", "build", "load"]
