"""The proof of gradients, which names the mistake."""

from chainrule.gradcheck.check import check_gradients
from chainrule.gradcheck.mistakes import MISTAKES
from chainrule.gradcheck.report import Finding, GradientReport

__all__ = ["MISTAKES", "Finding", "GradientReport", "check_gradients"]
