"""A checkpoint with the right hash and the wrong content is refused, and nothing of it is done."""

import numpy as np
import pytest

from chainrule import *
from chainrule.training.checkpoint_file import read_state, write_state


class Witness(Callback):
    """Has a method that no hook is, and that nothing in a file must call."""

    called = False

    def act(self, run):
        Witness.called = True


def net():
    return Model([Linear(4, 3), BatchNorm(3), Linear(3, 2)], SoftmaxCrossEntropy(), seed=1)


def go(model, folder, epochs):
    x = np.random.default_rng(0).standard_normal((32, 4))
    train(model, 0.01, epochs, Batches(x, np.arange(32) % 2, 8, seed=3), optimizer=Adam(),
          schedule=lambda step, total: 1.0, callbacks=[Witness()], checkpoint=folder, resume=True,
          verbose=False)  # fmt: skip


@pytest.mark.parametrize("value", [None, "x", [], {}, True, "gone"], ids=repr)
@pytest.mark.parametrize(
    "place",
    ["run/epoch", "run/step", "run/phase", "optimizer/steps", "optimizer/learning_rate",
     "pace/learning_rate", "data/used", "callbacks/turn"],
)  # fmt: skip
def test_what_is_of_another_kind_is_refused(place, value, tmp_path):
    part, name = place.split("/")
    refused(tmp_path, lambda state: change(state[part], name, value))


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["callbacks"].update(telling="act"),
        lambda state: state["callbacks"].update(telling="__init__"),
        lambda state: state["callbacks"].update(turn=99),
        lambda state: state["optimizer"]["averages"].pop("mean"),
        lambda state: state["optimizer"]["averages"].update(mean=np.zeros(3)),
        lambda state: state["optimizer"]["averages"].update(mean="x"),
        lambda state: state["model"].update(parameters=np.zeros(3)),
        lambda state: state["divergence"].update(first="x"),
        lambda state: state.pop("divergence"),
    ],
)
def test_what_does_not_fit_is_refused(change, tmp_path):
    refused(tmp_path, change)


def change(state, name, value):
    if value == "gone":
        del state[name]
    else:
        state[name] = value


def refused(folder, damage):
    go(net(), folder, 1)
    (path,) = folder.iterdir()
    state = read_state(path)
    damage(state)
    write_state(path, state)
    model = net()
    before = model.parameters.copy()
    Witness.called = False
    with pytest.raises(ValueError, match=r"cannot go on from .*checkpoint-"):
        go(model, folder, 2)
    np.testing.assert_array_equal(model.parameters, before)
    assert not Witness.called
