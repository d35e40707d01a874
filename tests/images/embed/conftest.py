"""An observer that records, and stops where it is told."""

import pytest

from umeta.core.errors import InterruptedRunError
from umeta.core.loop import Pace
from umeta.core.rng import Rng
from umeta.images.embed.training import fit


class Recorder:
    """Keeps the metrics of every step and the state at the step where it asks to stop."""

    def __init__(self, stop_at=None):
        self.stop_at, self.metrics, self.saved = stop_at, [], []

    def on_step(self, position, metrics):
        self.metrics.append(dict(metrics))
        self.step = position.step

    def wants_checkpoint(self, position):
        return False

    def save(self, position, state):
        self.saved.append((position, {name: value.clone() for name, value in state.tensors().items()}))

    def wants_stop(self):
        return self.step == self.stop_at


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def resumed():
    """Train for so many steps, but stop at one, load what was saved into a fresh state, and go on."""

    def run(embedder, images, n_steps, stop_at, rng):
        observer = Recorder(stop_at)
        with pytest.raises(InterruptedRunError):
            fit(embedder, images, Pace(n_steps), rng, observer=observer)
        position, tensors = observer.saved[0]
        state = embedder.init(images, Rng.from_seed(77))
        state.load_tensors(tensors)
        return fit(embedder, images, Pace(n_steps), rng, state=state, start=position)

    return run
