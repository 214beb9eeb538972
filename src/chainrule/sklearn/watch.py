"""What goes on after each epoch: the curves, stopping when nothing improves, the learning rate."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.layer import Array
from chainrule.sklearn.batches import Deal
from chainrule.training import Callback, Run

if TYPE_CHECKING:
    from chainrule.sklearn.estimator import NeuralNet

__all__ = ["Held", "Watch"]

LOWEST_RATE = 1e-6


@dataclass
class Held:
    """Samples to judge by: inputs, targets as the loss takes them, weights or None."""

    x: Any
    y: Array
    weights: Array | None = None


class Watch(Callback):
    """Writes the fitted attributes of an estimator epoch by epoch, and stops as scikit-learn does.

    Parameters
    ----------
    net : NeuralNet
        Whose attributes are written: ``loss_curve_``, ``n_iter_`` and so on.
    deal : Deal
        It knows the penalty of the epoch.
    held : Held or None
        What to score after each epoch.
    stopping : bool
        Whether the score decides when to stop, and which parameters are kept; else the loss.
    """

    def __init__(self, net: "NeuralNet", deal: Deal, held: Held | None, *, stopping: bool) -> None:
        self.net = net
        self.deal = deal
        self.held = held
        self.stopping = stopping
        self.ended = False

    def on_epoch_end(self, run: Run) -> None:
        """Write the figures of the epoch, and look whether it is time to stop."""
        net, row = self.net, run.history.rows[-1]
        net.n_iter_ += 1
        loss = row["loss"] * net._shown
        if self.deal.penalty is not None:
            loss += self.deal.penalty.take() / self.deal.samples
        net.loss_ = loss
        net.t_ += self.deal.samples
        net.loss_curve_.append(loss)
        if net.verbose:
            print(f"Iteration {net.n_iter_}, loss = {loss:.8f}")
        if self.held is not None:
            row[f"validation_{net._score_name}"] = self.score(self.held, run)
        if not self.stopping:
            self.count_loss(loss)
        self.pace(run)

    def score(self, held: Held, run: Run) -> float:
        """Return the score of the epoch; the best one's parameters are kept if it may stop."""
        net = self.net
        score = net._score_of(held)
        net.validation_scores_.append(score)
        if net.verbose:
            print(f"Validation score: {score:f}")
        if self.stopping:
            worse = score < net.best_validation_score_ + net.tol
            net._no_improvement_count = net._no_improvement_count + 1 if worse else 0
        if score > net.best_validation_score_:
            net.best_validation_score_ = score
            if self.stopping:
                net._best = net._snapshot()
        return score

    def count_loss(self, loss: float) -> None:
        """Count the epochs whose loss was no better than the best."""
        net = self.net
        worse = loss > net.best_loss_ - net.tol
        net._no_improvement_count = net._no_improvement_count + 1 if worse else 0
        net.best_loss_ = min(loss, net.best_loss_)

    def pace(self, run: Run) -> None:
        """Set the learning rate that the next epoch begins with, or stop."""
        net, optimizer = self.net, run.optimizer
        falling = net.learning_rate if net.solver == "sgd" else None
        if falling == "invscaling":
            optimizer.learning_rate = net.learning_rate_init / (net.t_ + 1) ** net.power_t
        if net._no_improvement_count <= net.n_iter_no_change:
            return
        what = "Validation score" if self.stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={net.tol:f} for {net.n_iter_no_change} "
            "consecutive epochs."
        )
        if falling == "adaptive" and optimizer.learning_rate > LOWEST_RATE:
            optimizer.learning_rate /= 5
            net._no_improvement_count = 0
            message += f" Setting learning rate to {optimizer.learning_rate:f}"
        else:
            run.stop = self.ended = True
            message += (
                " Learning rate too small. Stopping." if falling == "adaptive" else " Stopping."
            )
        if net.verbose:
            print(message)
