"""Build the wheel, install it alone in an environment of its own, and run its main job there."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURES = ["curves.png", "confusion.png", "mistakes.png", "weights.png"]

CORE = """
import sys
from pathlib import Path
import chainrule
from chainrule import *
home = Path(chainrule.__file__).parent
assert home.is_relative_to(sys.prefix), f"imported from {home}, not from the wheel"
assert (home / "py.typed").is_file(), "the wheel has no py.typed"
x, y = load_digits(split="train")
net = Model([Flatten(), Linear(64, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy())
history = train(net, 0.1, 3, (x / 16.0, y), verbose=False)
assert history["loss"][-1] < history["loss"][0], history["loss"]
print("core: loss", [round(loss, 3) for loss in history["loss"]])
"""


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command; show what it printed if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done


def main() -> None:
    """Build, install, run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT)
        (wheel,) = (folder / "dist").glob("*.whl")
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", wheel)
        print(run(python, "-c", CORE, cwd=folder).stdout, end="")

        bare = subprocess.run(
            [folder / "venv" / "bin" / "chainrule", "train"],
            capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
        names_the_extra = "pip install 'chainrule[cli]'" in bare.stderr
        if bare.returncode != 2 or not names_the_extra or bare.stderr.count("\n") != 1:
            sys.exit(f"without its extra the command should say so, got:\n{bare.stderr}")

        run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cli]")
        out = folder / "run"
        command = folder / "venv" / "bin" / "chainrule"
        run(command, "train", "digits", "--epochs", "3", "--out", out, cwd=folder)
        for made in ["model.safetensors", "history.csv", *PICTURES]:
            if not (out / made).stat().st_size:
                sys.exit(f"chainrule train left no {made}")
        print("wheel: chainrule train made", ", ".join(sorted(p.name for p in out.iterdir())))


if __name__ == "__main__":
    main()
