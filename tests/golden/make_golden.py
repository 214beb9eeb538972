"""Write golden.npz, the values that PyTorch gives; run by ``make golden``."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from test_parity import GOLDEN, golden_results  # it stands in the folder above

if __name__ == "__main__":
    np.savez_compressed(GOLDEN, **golden_results(torch))
    print(f"{GOLDEN.name}: {GOLDEN.stat().st_size:,} bytes, by PyTorch {torch.__version__}")
