"""Train an epoch on a file of 20 GB, and print the peak of the process's memory in MB.

python large.py FILE
"""

import sys
from pathlib import Path

import numpy as np

from chainrule import Linear, Model, SoftmaxCrossEntropy, train
from chainrule.data import FileBatches

if __name__ == "__main__":
    x = sys.argv[1]
    rows = FileBatches(x, np.zeros(20 * 2**30 // 16384, np.uint8)).x.shape[0]
    y = (np.arange(rows) % 3).astype(np.uint8)
    data = FileBatches(x, y, 4096, block_bytes=1 << 22, blocks=16, dtype=None)
    net = Model([Linear(4096, 3, initializer="zeros")], SoftmaxCrossEntropy())
    history = train(net, 0.01, 1, data, verbose=False)
    # Not getrusage: its peak is at least that of the process that began this one.
    (line,) = (s for s in Path("/proc/self/status").read_text().split("\n") if "VmHWM" in s)
    peak = int(line.split()[1]) / 1024
    print(len(history), rows, np.abs(net.parameters).max() > 0, round(peak))
