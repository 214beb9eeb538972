"""Say at the end of the checks what was not run."""

import importlib.util

print("All checks passed.")
if importlib.util.find_spec("torch") is None:
    print(
        "Skipped: the comparison with PyTorch. `make parity` installs it; then `make test` again."
    )
