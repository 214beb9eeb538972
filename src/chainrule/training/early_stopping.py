"""Stop when an epoch's figure no longer gets better."""

from typing import TYPE_CHECKING

from chainrule.state import State
from chainrule.training.callbacks import KeepBest

if TYPE_CHECKING:
    from chainrule.training.run import Run

__all__ = ["EarlyStopping"]


class EarlyStopping(KeepBest):
    """Stop when so many epochs have gone by without a better figure, and give back the best.

    Parameters
    ----------
    monitor : str
        The column of the history to judge by.
    patience : int
        How many epochs in a row may be no better than the best before them.
    min_delta : float
        By how much more than this an epoch must be better to count.
    restore_best : bool
        Whether the model has the parameters of the best epoch at the end, else the last ones.

    Attributes
    ----------
    bad_epochs : int
        How many have been no better.

    Notes
    -----
    Source: Prechelt, Early Stopping - But When?, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import EarlyStopping, Linear, MeanSquaredError, Model, train
    >>> x = np.random.default_rng(0).standard_normal((256, 3))
    >>> net = Model([Linear(3, 1)], MeanSquaredError())
    >>> stop = EarlyStopping("loss", patience=2, min_delta=1e-6)
    >>> history = train(net, 0.1, 1000, (x, x[:, :1]), callbacks=[stop], verbose=False)
    >>> len(history) < 100
    True
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 5,
        *,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor)
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: patience must be at least 1, got {patience!r}.")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta must be 0 or more, got {min_delta}.")
        self.patience = patience
        self.min_delta = float(min_delta)
        self.restore_best = restore_best
        self.bad_epochs = 0

    def on_train_begin(self, run: "Run") -> None:
        """Begin to count anew."""
        super().on_train_begin(run)
        self.bad_epochs = 0

    def on_epoch_end(self, run: "Run") -> None:
        """Count the epoch; stop if there have been enough that were no better."""
        better = self.improves(self.value(run), self.min_delta)
        self.bad_epochs = 0 if better else self.bad_epochs + 1
        super().on_epoch_end(run)
        if self.bad_epochs >= self.patience:
            run.stop = True

    def on_train_end(self, run: "Run") -> None:
        """Give the best parameters back to the model, if asked for."""
        if self.restore_best:
            super().on_train_end(run)

    def get_state(self) -> State:
        """Return the best so far, and the count."""
        return {**super().get_state(), "bad_epochs": self.bad_epochs}

    def set_state(self, state: State) -> None:
        """Go on from there."""
        super().set_state(state)
        self.bad_epochs = state["bad_epochs"]
