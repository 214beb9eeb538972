"""A net as one readable program that needs NumPy alone: ``predict.py``, and its arrays beside it.

For serving where every megabyte and millisecond of a start counts, for machines that carry little,
and for reading: the program has the functions of the layers that the net is made of, as a textbook
writes them, and then the net, a line for each layer.

The functions are those of :mod:`chainrule.interop.program.functions`, and their text is copied; a
layer of one's own is added by :func:`register`.
"""

from chainrule.interop.program.exporting import export
from chainrule.interop.program.rules import register

__all__ = ["export", "register"]
