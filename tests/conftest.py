"""What several tests share."""

import os

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20181)


@pytest.fixture
def mnist_folder():
    folder = os.environ.get("CHAINRULE_DATA")
    if not folder:
        pytest.skip("CHAINRULE_DATA names no folder with MNIST")
    return folder
