"""Knows how modules and their optimizers become one flat mapping of tensors, and back, bit for bit."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from umeta.core.errors import ArtifactError
from umeta.core.parallel import ALONE, Team


class ModuleState:
    """A `TrainState` of named modules and named optimizers.

    Args:
        modules: What is trained, and buffers that training changes.
        optimizers: Each with the learning rate that the schedule starts from.
        cosine: Whether `anneal` follows half a cosine down to 0; else the rates stay constant.

    Attributes:
        team: The processes that share the next step.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        *,
        cosine: bool = True,
    ) -> None:
        self.modules = dict(modules)
        self.optimizers = dict(optimizers)
        self.team = ALONE
        self._cosine = cosine
        self._base_lr = {name: [group["lr"] for group in opt.param_groups] for name, opt in self.optimizers.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, buffers and the optimizers' moments."""
        flat = {f"{name}.{key}": value for name, module in self.modules.items() for key, value in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                flat |= {f"{name}:{index}:{slot}": value for slot, value in slots.items()}
        return flat

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up values; raises `ArtifactError` if a name or a shape does not fit."""
        try:
            for name, module in self.modules.items():
                prefix = f"{name}."
                module.load_state_dict({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
        except RuntimeError as error:
            raise ArtifactError(f"the saved weights are of another network: {str(error).splitlines()[0]}") from error
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                owner, _, rest = key.partition(":")
                if owner == name and rest:
                    index, slot = rest.split(":")
                    state.setdefault(int(index), {})[slot] = value.clone()
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

    @contextmanager
    def shared(self, team: Team) -> Iterator[None]:
        """Let a team share the steps for as long as this lasts: modules with a `team` know it, and optimizers step along its gradients.

        Those are the mean over the processes, or where rows are divided, what each has found, which is of all rows already.
        """

        def gather(optimizer: torch.optim.Optimizer, *_: object) -> None:
            if not self.team.divides:
                team.average(optimizer)

        hooks = [optimizer.register_step_pre_hook(gather) for optimizer in self.optimizers.values()]
        self._know(team)
        try:
            yield
        finally:
            self._know(ALONE)
            for hook in hooks:
                hook.remove()

    def divided(self, n_rows: int) -> Team:
        """Return the team, told how many rows the next step has in all, as are the modules that work on them."""
        if n_rows != self.team.n_rows:
            self._know(replace(self.team, n_rows=n_rows))
        return self.team

    def _know(self, team: Team) -> None:
        self.team = team
        parts: list[Any] = [part for module in self.modules.values() for part in module.modules() if hasattr(part, "team")]
        for part in parts:
            part.team = team

    def anneal(self, progress: float) -> None:
        """Set each learning rate to its first value times `(1 + cos(pi * progress)) / 2`."""
        factor = (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2 if self._cosine else 1.0
        for name, optimizer in self.optimizers.items():
            for group, base in zip(optimizer.param_groups, self._base_lr[name], strict=True):
                group["lr"] = base * factor
