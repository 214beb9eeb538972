"""Nets as files, and what to feed them."""

import numpy as np
import pytest

import chainrule as cr
from onnx_files import Exported, shaken


@pytest.fixture
def exported(tmp_path):
    """Export layers (or a model), and return what tells of the file."""

    def export(layers, input_shape, kind="float32", **options):
        model = layers if isinstance(layers, cr.Model) else shaken(layers, kind)
        return Exported(model, tmp_path / "model.onnx", input_shape, **options)

    return export


@pytest.fixture
def normal():
    """Draw standard normal values."""
    rng = np.random.default_rng(9)
    return lambda *shape: rng.standard_normal(shape).astype(np.float32)
