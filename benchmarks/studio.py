"""What it costs a training to be watched: steps in a second without a tab, and with some.

    python -m benchmarks.studio                  # two minutes; needs chromium
    python -m benchmarks.studio --net linear-256,relu,linear-256,relu --part net --tabs 1

The sides take turns within one run, each round in another order: `train` alone, the studio with
nobody watching, and with tabs of a real browser, which show new steps all the while. It tells the
medians over the rounds, of steps in a second and of how much more or less that is than with nobody
watching. `train` alone may use more threads than the studio, which leaves a core to the page unless
it is worth much. The browser draws on the same cores: what it takes from the training is in the
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

WARM = 0.5  # seconds before steps are counted
# The browser has a process of its own, open all the time, and does what its input says: "watch 3"
# opens the page in three tabs, "leave" empties them and tells how many steps each has shown.
TABS = """
import sys
from playwright.sync_api import sync_playwright
address, path = sys.argv[1:]
flags = "--headless --no-sandbox --disable-gpu --disable-background-networking".split()
flags += ["--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows"]
COUNT = '''() => {
    const names = [...document.querySelectorAll(".readings dt")].map((e) => e.innerText);
    const step = document.querySelectorAll(".readings dd")[names.indexOf("step")];
    window.shown = 0;
    new MutationObserver(() => window.shown++)
        .observe(step, { characterData: true, childList: true, subtree: true });
}'''
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=path, args=flags)
    pages = []
    for line in sys.stdin:
        word, *number = line.split()
        if word == "watch":
            while len(pages) < int(number[0]):
                pages.append(browser.new_page(viewport={"width": 1280, "height": 800}))
            watching = pages[: int(number[0])]
            for page in watching:
                page.goto(address)
                page.wait_for_selector(".readings dd")
                page.wait_for_function("document.querySelector('.readings dd').innerText != '–'")
                page.evaluate(COUNT)
            print("open", flush=True)
        else:
            print(*[page.evaluate("window.shown") for page in watching], flush=True)
            for page in watching:
                page.goto("about:blank")
            print("left", flush=True)
    browser.close()
"""


class Counter(Callback):
    """Counts steps after a while, for a while; then ends the training."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.steps = 0

    def on_train_begin(self, run):
        self.begin = time.perf_counter() + WARM

    def on_step_end(self, run):
        now = time.perf_counter()
        self.steps += now > self.begin
        run.stop = now > self.begin + self.seconds


def alone(session, recipe, seconds):
    """Return steps in a second of `train`, with nothing round it."""
    model, data = session.draft(recipe)
    parts = Training(recipe, data, model, lambda frame: None, lambda: 0.0)
    counter = Counter(seconds)
    train(
        model, None, 10**6, parts.batches, optimizer=parts.optimizer, verbose=False,
        validation_data=(data.rows_test, parts.targets_test), callbacks=[counter],
    )  # fmt: skip
    return counter.steps / (time.perf_counter() - counter.begin)


def in_the_studio(session, seconds):
    """Return steps in a second of the studio's training, which has been built anew."""
    session.play()
    time.sleep(WARM)
    run, begin = session.training.run, time.perf_counter()
    first = run.step
    time.sleep(seconds)
    rate = (run.step - first) / (time.perf_counter() - begin)
    session.pause()
    return rate


def watched(session, seconds, browser, tabs):
    """Return the same with tabs of a browser on it, and how many steps a second the least shows."""

    def say(words):
        browser.stdin.write(f"{words}\n")
        browser.stdin.flush()
        return browser.stdout.readline()

    if say(f"watch {tabs}") != "open\n":
        sys.exit("the browser has not opened the page")
    rate = in_the_studio(session, seconds)
    shown = min(int(count) for count in say("leave").split())
    browser.stdout.readline()
    return rate, shown / (seconds + WARM)


def measured(session, recipe, options, browser):
    """Return the rates of all sides, and how often tabs have shown a new step."""
    sides = ["train alone", "nobody watches", *(f"{tabs} watching" for tabs in options.tabs)]
    rates, shown = {side: [] for side in sides}, {side: [] for side in sides[2:]}
    for turn in range(options.rounds):
        first = turn % len(sides)
        for side in sides[first:] + sides[:first]:
            session.set_up(recipe)
            if side == "train alone":
                session.close()  # its training sets how many threads a product uses
                rates[side].append(alone(session, recipe, options.seconds))
            elif side == "nobody watches":
                rates[side].append(in_the_studio(session, options.seconds))
            else:
                rate, seen = watched(session, options.seconds, browser, int(side.split()[0]))
                rates[side].append(rate)
                shown[side].append(seen)
    return rates, shown


def main():
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--net", default="linear-100,relu")
    parser.add_argument("--part", default="train", help="which part of the page is open")
    parser.add_argument("--tabs", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
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
    words = [sys.executable, "-c", TABS, f"http://localhost:{port}/{options.part}", chromium]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as browser:
        rates, shown = measured(session, recipe, options, browser)
        browser.stdin.close()
    session.close()

    base = rates["nobody watches"]
    shares = {
        side: [rate / of for rate, of in zip(values, base, strict=True)]
        for side, values in rates.items()
    }
    if options.json:
        print(json.dumps({"rates": rates, "shares": shares, "shown": shown}, indent=2))
        return
    print(f"{options.net} on {options.data}, {options.part} open, {options.rounds} rounds:")
    for side, values in rates.items():
        off = [100 * (share - 1) for share in shares[side]]
        line = f"{side:<16}{statistics.median(values):>10,.0f} steps a second"
        line += f"{statistics.median(off):>+8.1f} % ({min(off):+.1f} to {max(off):+.1f})"
        if side in shown:
            line += f", {statistics.median(shown[side]):.1f} new steps shown a second"
        print(line)


if __name__ == "__main__":
    main()
