"""Wrong layers and right ones, to check the checker with."""

from mutants import activations, linear, losses, normalisation, right_ones, windows
from mutants.registry import RIGHT, WRONG, Entry

__all__ = ["RIGHT", "WRONG", "Entry", "activations", "linear", "losses", "normalisation",
           "right_ones", "windows"]  # fmt: skip
