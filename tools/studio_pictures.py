"""Take the pictures of docs/studio.md anew: tools/studio_pictures.py [--to FOLDER] [--part NAME …].

It starts the studio, steers it as a person would, and photographs each part in Chromium at 1280 by
800; --width, --height and --dark show how it looks elsewhere. Needs chromium and the extra dev.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent.parent / "docs" / "images"
EPOCHS = 8
# A 7 as a person draws it, in the 224 by 224 pixels of the sheet.
SEVEN = [(58, 56), (80, 51), (108, 50), (136, 49), (162, 48), (152, 74), (139, 100), (127, 128),
         (117, 156), (108, 190)]  # fmt: skip
# A net with a branch, so that the walk has a way past the layers.
BRANCH = "data=digits&net=linear-32,relu,residual&optimizer=adam&lr=0.003"
# Past runs, as the command makes them.
RUNS = {"sgd": [], "adam": ["--optimizer", "adam"], "lenet": ["--model", "lenet"]}
# Each part in a state of its own: after so many epochs, at an address, and what to wait for there.
PARTS = {
    "predict": (0, "predict?drawing={seven}", ".predict-said:has-text('7, ')"),
    "train": (EPOCHS, "train", ".plot-line"),
    "net": (EPOCHS, "net?split=test&sample=7", ".net-card"),
    "results": (EPOCHS, "results?cell=1-9", ".samples canvas"),
    "runs": (EPOCHS, "runs?runs=adam/lenet/sgd", ".plot-line"),
    "chain-rule": (2, "chain-rule?split=test&sample=7&layer=2&way=backward", "math"),
}
FLAGS = "--headless --no-sandbox --disable-gpu --hide-scrollbars --disable-background-networking"


def digits(value: int) -> str:
    """Write a number from 0 to 224 as the page writes it into an address: base 36, two places."""
    return "".join("0123456789abcdefghijklmnopqrstuvwxyz"[d] for d in divmod(value, 36))


@contextlib.contextmanager
def studio(folder):
    """Start the studio in a folder of its own, and yield its address."""
    command = [sys.executable, "-m", "chainrule", "studio", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        try:
            yield re.search(r"http://\S+", process.stdout.readline())[0]
        finally:
            process.terminate()


def train(folder):
    """Make the past runs."""
    for name, words in RUNS.items():
        command = [sys.executable, "-m", "chainrule", "train", "digits", *words]
        command += ["--epochs", str(EPOCHS), "--out", f"runs/{name}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def build(page, address, recipe):
    """Build another net."""
    page.goto(f"{address}train?{recipe}")
    page.get_by_role("button", name=re.compile("Build it")).click()
    page.locator(".readings .figure:has(dt:text-is('state')) dd:text-is('ready')").wait_for()


def take(page, address, part, to):
    """Take the picture of a part."""
    _, path, sign = PARTS[part]
    seven = "".join(digits(value) for point in SEVEN for value in point)
    page.goto(address + path.format(seven=seven))
    page.locator(sign).first.wait_for(timeout=30_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # whatever is computed beside the page has come by then
    page.mouse.move(0, 0)
    page.screenshot(path=to / f"studio-{part}.png")
    print(to / f"studio-{part}.png", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=IMAGES)
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("needs chromium (Debian: apt-get install chromium)")
    with (
        tempfile.TemporaryDirectory() as folder, studio(folder) as address,
        sync_playwright() as playwright,
    ):  # fmt: skip
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        page = browser.new_page(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
        )
        if "runs" in options.part:
            train(folder)
        made = 0
        for part in sorted(options.part, key=list(PARTS).index):
            page.goto(f"{address}train")
            if part == "chain-rule":
                build(page, address, BRANCH)
                made = 0
            while made < PARTS[part][0]:
                made += 1
                page.get_by_role("button", name="One epoch").click()
                page.locator(
                    f".readings .figure:has(dt:text-is('epoch')) dd:text-is('{made}')"
                ).wait_for()
            take(page, address, part, options.to)
        browser.close()


if __name__ == "__main__":
    main()
