"""Write the embedded digits from scikit-learn's copy; needs the development extra."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from chainrule.data import write_idx

FOLDER = Path(__file__).parent.parent / "src" / "chainrule" / "data"

if __name__ == "__main__":
    digits = load_digits()
    write_idx(FOLDER / "digits-images.idx.gz", digits.images.astype(np.uint8))
    write_idx(FOLDER / "digits-labels.idx.gz", digits.target.astype(np.uint8))
