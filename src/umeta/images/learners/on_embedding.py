"""Knows how a learner practices on the vectors of a frozen encoder in place of images, and ships both as one procedure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.images.embed.refined import RefinedEncoder
from umeta.images.embed.training import StoredEncoder
from umeta.images.episode import Episode, Episodes
from umeta.images.learners.maml import GradientProcedure, Maml
from umeta.images.learners.protonets import ProtoNets, PrototypeProcedure
from umeta.images.nets.net import Net


@dataclass(frozen=True)
class OnEmbedding:
    """Practice on an embedding: the encoder stays as it is, the learner's network sees its vectors as images of one pixel.

    Of tasks that change no image, the vectors come from the pool's own store, so the encoder does not run at every step; of views, it does.

    Attributes:
        learner: With a network for as many channels as the vectors have numbers, and side 1.
        encoder: Frozen.

    Source:
        Hsu et al. 2019 (arXiv:1810.02334), the authors' code with `on_encodings`. Departure: the encoder is part of the procedure, so that
        it takes images.
    """

    learner: ProtoNets | Maml
    encoder: StoredEncoder

    def init(self, rng: Rng) -> ModuleState:
        """Return the learner's fresh state."""
        return self.learner.init(rng)

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Take the learner's step on the vectors of the tasks' images."""
        assert isinstance(tasks, Episodes)
        return self.learner.step(state, replace(tasks, encoder=self.encoder), rng)

    def export(self, state: ModuleState) -> PrototypeProcedure | GradientProcedure:
        """Return the learner's procedure behind the encoder."""
        procedure = self.learner.export(state)
        if isinstance(procedure, GradientProcedure):
            return replace(procedure, below=self.encoder)
        assert isinstance(procedure.net, Net)
        return replace(procedure, net=RefinedEncoder(self.encoder, procedure.net))
