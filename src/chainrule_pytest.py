"""The fixture ``assert_gradients``, found by pytest through its entry point.

It stands outside the package, so that pytest does not import NumPy where no test asks for it.
"""

from collections.abc import Callable

import pytest

__all__ = ["assert_gradients"]


@pytest.fixture
def assert_gradients() -> Callable[..., None]:
    """Return :func:`chainrule.testing.assert_gradients`."""
    from chainrule.testing import assert_gradients as function

    return function
