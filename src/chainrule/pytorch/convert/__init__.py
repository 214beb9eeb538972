"""For each of PyTorch's modules, our layers with the same settings; their weights come later."""

from chainrule.pytorch.convert import images, sequences, vectors
from chainrule.pytorch.convert.settings import Rule

__all__ = ["RULES"]

RULES: dict[str, Rule] = vectors.RULES | images.RULES | sequences.RULES
