"""Knows how weights become a module, so that optimizers and checkpoints take them."""

from jaxtyping import Float
from torch import Tensor, nn

from umeta.control.nets.policy import Weights, mlp


class Net(nn.Module):
    """Weights with one task in front, as parameters.

    Args:
        weights: Initial values; copied.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.parameters_by_name = nn.ParameterDict({name: nn.Parameter(value.clone()) for name, value in weights.items()})

    @property
    def weights(self) -> Weights:
        """The parameters under their names; gradients flow to them."""
        return dict(self.parameters_by_name.items())

    def forward(self, inputs: Float[Tensor, "*batch n_in"]) -> Float[Tensor, "*batch n_out"]:
        """Apply them as a fully connected network."""
        return mlp(self.weights, inputs[None])[0]
