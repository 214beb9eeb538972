"""The callbacks of a training, told of each turn of the loop, and what they remember."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chainrule.state import State
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.run import Run

__all__ = ["Hooks", "call"]

HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class Hooks:
    """Tells the callbacks, in their order; an error in one of them names it.

    Parameters
    ----------
    run : Run
        What they are given.
    callbacks : sequence of Callback
        The user's own: only these have a state.
    more : sequence of Callback
        Told after them.

    Raises
    ------
    TypeError
        If one of them is no callback.
    """

    def __init__(
        self, run: "Run", callbacks: Sequence[Callback], more: Sequence[Callback] = ()
    ) -> None:
        self.run = run
        self.callbacks, self.more = _checked(callbacks), list(more)
        self.all = [*self.callbacks, *self.more]
        # What they are being told, and whose turn it is: an error of one leaves it as it is, so
        # that a training that is resumed tells those that have not heard it.
        self.telling: str | None = None
        self.turn = 0

    def tell(self, hook: str) -> None:
        """Call this method of every callback."""
        if self.all:
            self.telling, self.turn = hook, 0
            self.finish()

    def finish(self) -> None:
        """Tell those that have not been told yet."""
        if self.telling is None:
            return
        while self.turn < len(self.all):
            if self.tells(self.all[self.turn]):
                call(self.all[self.turn], self.telling, self.run)
            self.turn += 1
        self.telling, self.turn = None, 0

    def names(self) -> list[str]:
        """Return what the user's callbacks are called."""
        return [type(callback).__name__ for callback in self.callbacks]

    def tells(self, callback: Callback) -> bool:
        """Whether it is told here: one that writes is, of several workers, by the first alone."""
        return self.run.workers.first or not callback.writes

    def get_state(self) -> State:
        """Return what the user's callbacks remember."""
        return {
            "telling": self.telling,
            "turn": self.turn,
            "callbacks": [[type(c).__name__, self._state_of(c)] for c in self.callbacks],
        }

    def _state_of(self, callback: Callback) -> State:
        try:
            return callback.get_state()
        except Exception as error:
            _name(error, callback, "get_state", self.run)
            raise

    def set_state(self, state: State) -> None:
        """Let them go on from there.

        Raises
        ------
        ValueError
            If there are other callbacks than then, or the state is damaged.
        """
        # What it names is called: nothing but what is a hook.
        telling, turn = state["telling"], state["turn"]
        if telling is not None and telling not in HOOKS:
            raise ValueError(f"it is damaged: callbacks have no hook {telling!r:.40}.")
        if type(turn) is not int or not 0 <= turn <= len(self.all):
            raise ValueError(f"it is damaged: there is no callback number {turn!r:.40}.")
        then = [name for name, _ in state["callbacks"]]
        now = self.names()
        if then != now:
            raise ValueError(
                f"it was made with the callbacks {', '.join(then) or 'none'}, and these are "
                f"{', '.join(now) or 'none'}. Pass the same, in the same order."
            )
        for callback, (_, remembered) in zip(self.callbacks, state["callbacks"], strict=True):
            try:
                callback.set_state(remembered)
            except Exception as error:
                _name(error, callback, "set_state", self.run)
                raise
        self.telling, self.turn = telling, turn


def call(callback: Callback, hook: str, run: "Run") -> None:
    """Call a method of a callback; the error it raises gets a note that names it."""
    try:
        getattr(callback, hook)(run)
    except Exception as error:
        _name(error, callback, hook, run)
        raise


def _name(error: Exception, callback: Callback, method: str, run: "Run") -> None:
    error.add_note(
        f"Raised by the callback {type(callback).__name__} in {method}, in epoch {run.epoch}, "
        f"after step {run.step}."
    )


def _checked(callbacks: Iterable[Callback]) -> list[Callback]:
    if isinstance(callbacks, type) or not isinstance(callbacks, Iterable):
        name = callbacks.__name__ if isinstance(callbacks, type) else type(callbacks).__name__
        raise TypeError(f"train: callbacks must be a list of them, as [{name}(…)], got {name}.")
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = f" Write {callback.__name__}()." if isinstance(callback, type) else ""
            raise TypeError(
                "train: a callback must be a Callback, as KeepBest() or Hook(on_epoch_end="
                f"function), got {callback!r}.{hint}"
            )
    return callbacks
