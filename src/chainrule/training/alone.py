"""A training with one worker: where several act together, it acts for itself."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from chainrule.state import Stateful
from chainrule.training.steps import MeanGradient

if TYPE_CHECKING:
    from chainrule.training.checkpoint import Checkpoint
    from chainrule.training.interrupts import Interrupts
    from chainrule.training.run import Run

__all__ = ["Alone"]


class Alone:
    """What the loop asks at each turn; :class:`~chainrule.training.team.Team` asks the others too.

    Parameters
    ----------
    run : Run
    interrupts : Interrupts
    checkpoint : Checkpoint or None

    Attributes
    ----------
    agreed : bool
        Whether an error that comes out does so in all workers.
    """

    agreed = True

    def __init__(self, run: Run, interrupts: Interrupts, checkpoint: Checkpoint | None) -> None:
        self.run = run
        self.workers = run.workers
        self.interrupts = interrupts
        self.checkpoint = checkpoint

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""

    def remembers(self) -> dict[str, Stateful]:
        """Return what a checkpoint has besides."""
        return {}

    def begin_step(self) -> None:
        """Note where the run stands before a step."""

    def with_samples(self, parts: Iterable[Any]) -> Iterable[Any]:
        """Return the mini-batches of a step in which this worker has a sample that counts."""
        return parts

    def average(self, mean: MeanGradient | None) -> None:
        """Put the mean gradient of all workers into the model, and the mean loss into the run.

        Parameters
        ----------
        mean : MeanGradient, optional
            Where the gradient is, if several mini-batches made it; else it is the model's.
        """
        if mean is not None:
            mean.take(self.run.model.gradients)

    def settle(self) -> None:
        """After a step: let a signal act that came in it."""
        if self.interrupts.pending:
            self.interrupts.check()

    def agree(self) -> None:
        """Do so where no step is being made."""

    def end_steps(self) -> None:
        """See that all have come to the end of an epoch."""

    def due(self) -> bool:
        """Whether it is time for a checkpoint after this step."""
        return self.checkpoint is not None and self.checkpoint.due(self.run.step)
