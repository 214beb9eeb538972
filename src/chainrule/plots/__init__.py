"""Pictures of a run and of a net; they need the extra ``chainrule[plots]``.

Every function draws into the matplotlib axes ``ax`` if it is given some, else into a figure of its
own, and returns the axes; ``axes.figure.savefig(path)`` writes the picture. A picture of several
panels divides its one axes: the panels are then ``axes.child_axes``. So each of them fits into
any grid of axes.

In a notebook a figure of its own shows itself under the cell. Elsewhere it is no part of pyplot,
and the global state of matplotlib is left alone. Background and text have matplotlib's colours:
after ``matplotlib.style.use("dark_background")`` pictures are dark.
"""

from chainrule.plots.activations import activations
from chainrule.plots.boundary import decision_boundary
from chainrule.plots.classification import confusion, mistakes
from chainrule.plots.curves import compare, curves
from chainrule.plots.gradient_flow import gradient_flow
from chainrule.plots.learning_rate import learning_rate
from chainrule.plots.net import net
from chainrule.plots.profile import profile
from chainrule.plots.regression import predicted
from chainrule.plots.saliency import saliency
from chainrule.plots.weights import weights

__all__ = [
    "activations",
    "compare",
    "confusion",
    "curves",
    "decision_boundary",
    "gradient_flow",
    "learning_rate",
    "mistakes",
    "net",
    "predicted",
    "profile",
    "saliency",
    "weights",
]
