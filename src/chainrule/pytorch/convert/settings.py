"""What the rules share: settings that ours has not, and how settings are written."""

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.layer import Layer
from chainrule.pytorch.chain import Chain

__all__ = ["Rule", "one", "refuse"]

# Takes the chain, the module, and a dict for the names of parts of the module that become parts of
# what it returns; returns layers.
Rule = Callable[[Chain, Any, dict[str, str]], list[Layer]]


def refuse(chain: Chain, **options: bool) -> None:
    """Say no if one of the options is set."""
    unlike = [name for name, is_set in options.items() if is_set]
    if unlike:
        chain.no(f"ours has no {' and no '.join(unlike)}")


def one(value: Any) -> Any:
    """Return a pair of equal numbers as one, for a shorter repr; a tuple of one as its number."""
    values = [int(n) for n in np.atleast_1d(value)]
    return values[0] if len(set(values)) == 1 else values
