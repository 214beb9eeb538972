"""What it costs a training to be watched: steps in a second without a tab, and with some.

    python -m benchmarks.studio                  # needs chromium
    python -m benchmarks.studio --net linear-256,relu,linear-256,relu --tabs 3

The sides take turns within one run: `train` alone, the studio with nobody watching, and with tabs
of a real browser. The browser draws on the same cores: what it takes from the training is in the
figures, so on a computer with two cores they are worse than on a larger one.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time

from chainrule import Callback, train
from chainrule.studio.recipe import Recipe
from chainrule.studio.server import SWITCH, application
from chainrule.studio.session import Session
from chainrule.studio.training import Training

TABS = """
import sys
from playwright.sync_api import sync_playwright
address, path, tabs, seconds = sys.argv[1:]
flags = "--headless --no-sandbox --disable-gpu --disable-background-networking".split()
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=path, args=flags)
    pages = []
    for _ in range(int(tabs)):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.wait_for_selector("h1")
        pages.append(page)
    print("open", flush=True)
    pages[0].wait_for_timeout(1000 * float(seconds))
    browser.close()
"""


class Until(Callback):
    """Ends a training when its time is over."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_train_begin(self, run):
        self.end = time.perf_counter() + self.seconds

    def on_step_end(self, run):
        run.stop = time.perf_counter() > self.end


def alone(session, recipe, seconds):
    """Return steps in a second of `train`, with nothing round it."""
    model, data = session.draft(recipe)
    parts = Training(recipe, data, model, lambda frame: None, lambda: 0.0)
    done = []
    begin = time.perf_counter()
    counter = type("Counter", (Callback,), {"on_step_end": lambda self, run: done.append(None)})()
    train(
        model, None, 10**6, parts.batches, optimizer=parts.optimizer, verbose=False,
        validation_data=(data.rows_test, parts.targets_test), callbacks=[counter, Until(seconds)],
    )  # fmt: skip
    return len(done) / (time.perf_counter() - begin)


def in_the_studio(session, recipe, seconds):
    """Return steps in a second of the studio's training."""
    session.set_up(recipe)
    session.play()
    time.sleep(0.5)
    run, begin = session.training.run, time.perf_counter()
    first = run.step
    time.sleep(seconds)
    rate = (run.step - first) / (time.perf_counter() - begin)
    session.pause()
    return rate


def watched(session, recipe, seconds, address, tabs):
    """Return the same with tabs of a browser on it."""
    words = [sys.executable, "-c", TABS, address, shutil.which("chromium"), str(tabs),
             str(seconds + 4)]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as browser:
        browser.stdout.readline()
        rate = in_the_studio(session, recipe, seconds)
        browser.kill()
    return rate


def main():
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--net", default="linear-100,relu")
    parser.add_argument("--part", default="train", help="which part of the page is open")
    parser.add_argument("--tabs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("chromium") is None:
        sys.exit("needs chromium")
    recipe = Recipe(data=options.data, net=options.net)
    session = Session()
    sys.setswitchinterval(SWITCH)
    config = uvicorn.Config(application(session, "127.0.0.1", None), port=0, log_level="error")
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://localhost:{port}/{options.part}"

    rates = {"train alone": [], "the studio, unwatched": [], "the studio, watched": []}
    for _ in range(options.rounds):
        rates["train alone"].append(alone(session, recipe, options.seconds))
        rates["the studio, unwatched"].append(in_the_studio(session, recipe, options.seconds))
        rates["the studio, watched"].append(
            watched(session, recipe, options.seconds, address, options.tabs)
        )
    middle = {name: statistics.median(values) for name, values in rates.items()}
    if options.json:
        print(json.dumps({"rates": rates, "medians": middle}, indent=2))
        return
    base = middle["train alone"]
    for name, rate in middle.items():
        print(f"{name:<24}{rate:>10,.0f} steps a second{100 * (rate / base - 1):>+8.1f} %")
    session.close()


if __name__ == "__main__":
    main()
