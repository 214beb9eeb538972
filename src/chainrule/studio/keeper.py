"""Saves a training that goes on again and again, so that little is lost if the computer stops."""

import contextlib
import threading

from chainrule.studio.session import Session

__all__ = ["keep_saving"]

EVERY = 30.0  # seconds


def keep_saving(session: Session, every: float = EVERY) -> threading.Event:
    """Save the session's training every so often, while it goes on; setting the event ends that.

    What is given up before it is that old is not saved, so that trying things out leaves no
    folders behind. What fails is said in ``session.saved_words``, and tried again.
    """
    ended = threading.Event()

    def run() -> None:
        before: object = None
        while not ended.wait(every):
            training = session.training
            if training is before and training.run.step:
                with contextlib.suppress(Exception):  # the page shows the words of it
                    session.save_new()
            before = training

    threading.Thread(target=run, name="chainrule studio saves", daemon=True).start()
    return ended
