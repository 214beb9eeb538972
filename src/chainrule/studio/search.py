"""What takes long to compute: a learning rate, the loss around; with a twin of its own."""

from __future__ import annotations

import numpy as np

from chainrule.cli import recipes
from chainrule.data import Batches
from chainrule.model import Model
from chainrule.studio.frame import Frame
from chainrule.studio.results import Landscape, landscape
from chainrule.studio.session import Session
from chainrule.studio.training import Training
from chainrule.training import find_learning_rate
from chainrule.training.finder import LearningRates

__all__ = ["around", "rates"]

STEPS = 100
SAMPLES, PLACES = 128, 15


def rates(session: Session) -> LearningRates:
    """Search for a learning rate from the present weights; the training goes on."""
    frame, training, model = _now(session)
    batches = Batches(
        training.data.rows, training.targets, frame.recipe.batch, seed=frame.recipe.seed
    )
    optimizer = recipes.optimizer(frame.recipe.optimizer, frame.recipe.lr, 0.0)
    return find_learning_rate(model, batches, optimizer=optimizer, steps=STEPS)


def around(session: Session) -> Landscape:
    """Return the loss of some samples round the present weights."""
    _, training, model = _now(session)
    chosen = np.random.default_rng(0).permutation(len(training.data.rows))[:SAMPLES]
    return landscape(model, training.data.rows[chosen], training.targets[chosen], size=PLACES)


def _now(session: Session) -> tuple[Frame, Training, Model]:
    frame, training = session.snapshot()
    model = training.twin()
    frame.into(model)
    return frame, training, model
