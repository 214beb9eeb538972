"""Pictures of a run and of a net; they need the extra ``chainrule[plots]``.

Each function draws into ``ax`` if it is given one, else into a figure of its own, and returns the
matplotlib axes; ``axes.figure.savefig(path)`` writes the picture. The global state of matplotlib
is left alone.
"""

from chainrule.plots.classification import confusion, mistakes
from chainrule.plots.curves import compare, curves
from chainrule.plots.learning_rate import learning_rate
from chainrule.plots.net import net
from chainrule.plots.profile import profile
from chainrule.plots.regression import predicted
from chainrule.plots.weights import weights

__all__ = [
    "compare",
    "confusion",
    "curves",
    "learning_rate",
    "mistakes",
    "net",
    "predicted",
    "profile",
    "weights",
]
