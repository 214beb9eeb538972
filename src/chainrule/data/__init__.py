"""Data: files and formats, embedded and downloaded sets, mini-batches."""

from chainrule.data.augment import Augment
from chainrule.data.background import Augmented
from chainrule.data.batches import Batches, class_weights, one_hot, train_validation_split
from chainrule.data.digits import load_digits
from chainrule.data.file_batches import FileBatches
from chainrule.data.idx import read_idx, write_idx
from chainrule.data.mnist import (
    FASHION_MNIST,
    MNIST,
    MiniBatches,
    Source,
    download,
    load_fashion_mnist,
    load_idx_folder,
    load_minibatches,
    load_mnist,
)
from chainrule.data.table import Table, load_npz, read_npz

__all__ = [
    "FASHION_MNIST",
    "MNIST",
    "Augment",
    "Augmented",
    "Batches",
    "FileBatches",
    "MiniBatches",
    "Source",
    "Table",
    "class_weights",
    "download",
    "load_digits",
    "load_fashion_mnist",
    "load_idx_folder",
    "load_minibatches",
    "load_mnist",
    "load_npz",
    "one_hot",
    "read_idx",
    "read_npz",
    "train_validation_split",
    "write_idx",
]
