"""What is seen of a training at one moment. It never changes, so that any thread may look at it."""

from dataclasses import dataclass, field

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio.recipe import Recipe

__all__ = ["FAILED", "FINISHED", "PAUSED", "RUNNING", "Frame", "Points"]

PAUSED, RUNNING, FINISHED, FAILED = "paused", "running", "finished", "failed"

Points = list[tuple[int, float]]


@dataclass(frozen=True)
class Frame:
    """A training at one moment.

    Attributes
    ----------
    number : int
        Grows with every frame of a session: another number, other figures.
    build : int
        Grows with every net that is built: what was computed for another build is void.
    recipe : Recipe
        What it is made from, with the learning rate and the batch size as they are now.
    state : str
        ``"paused"`` (as it is before the first step), ``"running"``, ``"finished"`` or
        ``"failed"``.
    words : str
        What went wrong; empty if nothing did.
    epoch, step : int
        Where it is, both from 1; 0 before the first.
    loss : float
        The mean loss of the last step's mini-batch; NaN before the first.
    figures : dict
        The last row of the history: ``loss``, ``validation_loss``, ``validation_accuracy``.
    seconds : float
        What a step takes; NaN before the first.
    speed : float
        How many steps it makes in a second at most; infinite for as many as it can.
    batch : array of int
        Which samples the last mini-batch had.
    parameters, gradients : array
        The flat vectors after the step.
    state_arrays : tuple of array
        What layers keep besides, as running statistics.
    losses, held_out, accuracies : list of (step, value)
        The curves so far.
    """

    number: int
    build: int
    recipe: Recipe
    state: str
    words: str
    epoch: int
    step: int
    loss: float
    figures: dict[str, float]
    seconds: float
    speed: float
    batch: Array = field(repr=False)
    parameters: Array = field(repr=False)
    gradients: Array = field(repr=False)
    state_arrays: tuple[Array, ...] = field(repr=False)
    losses: Points = field(repr=False)
    held_out: Points = field(repr=False)
    accuracies: Points = field(repr=False)

    def into(self, model: Model) -> None:
        """Set the parameters and the state of a twin of the net."""
        model.parameters = self.parameters
        for (_, array), then in zip(model.named_state(), self.state_arrays, strict=True):
            array[...] = then
