"""What a training of the studio is made from: checked, and as the query of an address."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from chainrule.cli import recipes
from chainrule.studio import nets

__all__ = ["OWN", "Recipe", "check_batch", "check_rate", "learning_rate"]

KINDS: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}
OWN = "own"  # the net that the command line named


@dataclass(frozen=True)
class Recipe:
    """Data, net, and how it learns.

    Attributes
    ----------
    data : str
        The name of a data set.
    net : str
        The hidden layers, as :mod:`chainrule.studio.nets` reads them; ``"own"`` for the net that
        the command line named.
    loss, optimizer : str
        Their names.
    lr : float
    batch : int
        Samples in a mini-batch.
    seed : int
        Draws the first weights and the order of the samples.

    Examples
    --------
    >>> Recipe().query()["net"]
    'linear-32,relu'
    >>> Recipe.of({"lr": "0.5", "layer": "2"}).lr
    0.5
    """

    data: str = "digits"
    net: str = "linear-32,relu"
    loss: str = "softmax-cross-entropy"
    optimizer: str = "sgd"
    lr: float = 0.1
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.net != OWN:
            nets.parts(self.net)
        if self.loss not in (*nets.LOSSES, OWN):
            raise ValueError(
                f"there is no loss {self.loss!r:.40}. There are: {', '.join(nets.LOSSES)}."
            )
        if self.optimizer not in recipes.OPTIMIZERS:
            raise ValueError(
                f"there is no optimiser {self.optimizer!r:.40}. There are: "
                f"{', '.join(recipes.OPTIMIZERS)}."
            )
        check_rate(self.lr)
        check_batch(self.batch)
        if not 0 <= self.seed < 1 << 31:
            raise ValueError(f"the seed must be from 0 to {(1 << 31) - 1}, got {self.seed}.")

    def query(self) -> dict[str, str]:
        """Return it as the query of an address."""
        return {
            name: repr(value) if name == "lr" else str(value)
            for name, value in asdict(self).items()
        }

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Recipe":
        """Read it from a query; what is not there is as at first, what else is there is ignored.

        Raises
        ------
        ValueError
            If something in it makes no sense.
        """
        given: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in query:
                continue
            try:
                given[field.name] = KINDS[getattr(field.type, "__name__", "")](query[field.name])
            except ValueError as error:
                raise ValueError(
                    f"{field.name} must be a number, got {query[field.name]!r:.40}."
                ) from error
        return cls(**given)


def check_rate(lr: float) -> None:
    """Refuse a learning rate that makes no sense."""
    if not 0 < lr <= 1e6 or math.isnan(lr):
        raise ValueError(f"the learning rate must be above 0 and at most 1e6, got {lr:g}.")


def check_batch(size: int) -> None:
    """Refuse a size of mini-batches that makes no sense."""
    if not 1 <= size <= 1 << 16:
        raise ValueError(f"a mini-batch has 1 to {1 << 16} samples, got {size}.")


def learning_rate(optimizer: str) -> float:
    """Return a rate that suits an optimiser.

    Examples
    --------
    >>> learning_rate("adam")
    0.001
    """
    return recipes.learning_rate(optimizer, highest=False)
