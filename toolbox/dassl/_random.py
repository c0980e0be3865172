"""The global generators of Python and NumPy, kept out of what must not move them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Leave them as they were.

    For what happens in some starts of a run and not in others: drawing a sample that is not cached
    yet, or the first import of a package, since some packages draw a number then (rich does, which
    scikit-learn imports if it is there).
    """
    import numpy as np  # not to be waited for by those who only look up a name

    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
