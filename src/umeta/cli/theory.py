"""Knows what each part of `umeta theory` is called with; the work itself is imported only when it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, TypeAlias

from tyro.conf import Positional, arg, subcommand


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where results go, shared by all parts."""

    out: Annotated[Path, arg(metavar="FOLDER")] = Path("theory")
    """Where figures go; earlier ones of the same command there are replaced."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Of all randomness."""
    json: bool = False
    """Print one JSON object."""


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """A grid: five actions (stay, down, up, right, left), a goal counts where the episode ends."""

    size: Annotated[str, arg(metavar="ROWSxCOLUMNS")] = "5x5"
    """Rows and columns."""
    horizon: Annotated[int, arg(metavar="STEPS")] = 10
    """Steps in an episode."""
    walls: Annotated[tuple[str, ...], arg(metavar="ROW,COLUMN...", help_behavior_hint="")] = ()
    """Cells that nobody can enter; rows and columns count from 0."""
    start: Annotated[str, arg(metavar="ROW,COLUMN")] = "0,0"
    """Where every episode begins."""


@dataclass(frozen=True, kw_only=True)
class Grid(Output, GridOptions):
    """Claims (b) and (c): unknown goals on a grid, the best explorer, and what noise does to the others."""

    example: ClassVar[str] = "umeta theory grid --size 5x5 --slip 0 0.1 0.3 0.5 --horizon 10 --out theory/"
    slip: Annotated[tuple[float, ...], arg(metavar="P...")] = (0.0, 0.1, 0.3, 0.5)
    """Probability that an action is replaced by one at random; one table column each."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.theory_work import run_grid

        return run_grid(self)


@dataclass(frozen=True, kw_only=True)
class Process(Output):
    """The same explorers on a process of your own, or on a gymnasium toy-text environment."""

    example: ClassVar[str] = "umeta theory process my-process.npz --horizon 10"
    source: Annotated[Positional[str], arg(metavar="FILE|ENV")]
    """An .npz with `transitions` [n_states, n_actions, n_states] and `start` [n_states], or an id such as FrozenLake-v1."""
    horizon: Annotated[int, arg(metavar="STEPS")] = 10
    """Steps in an episode."""
    goals: Annotated[tuple[int, ...] | None, arg(metavar="STATE...", help_behavior_hint="")] = None
    """States that may be the goal; without it, all in which an episode can end."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.theory_work import run_process

        return run_process(self)


@dataclass(frozen=True, kw_only=True)
class SqrtLaw(Output):
    """Claim (a): for a known prior over goals, explore by its square root."""

    example: ClassVar[str] = "umeta theory sqrt-law --goals 16"
    goals: Annotated[int, arg(metavar="N")] = 16
    """Number of goals."""
    concentration: Annotated[float, arg(metavar="ALPHA")] = 1.0
    """Of the Dirichlet distribution that the prior is drawn from."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.theory_work import run_sqrt_law

        return run_sqrt_law(self)


@dataclass(frozen=True, kw_only=True)
class Memory(Output, GridOptions):
    """Claim (d): an explorer that remembers where it has been needs half as long."""

    example: ClassVar[str] = "umeta theory memory --slip 0 0.3"
    slip: Annotated[tuple[float, ...], arg(metavar="P...")] = (0.0, 0.3)
    """Probability that an action is replaced by one at random; one table row each."""
    trials: Annotated[int, arg(metavar="N")] = 4000
    """Times that each hitting time is measured by running it."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.theory_work import run_memory

        return run_memory(self)


@dataclass(frozen=True, kw_only=True)
class Trajectories(Output):
    """Claim (e): readiness for any reward of a whole episode costs exponentially in the horizon."""

    example: ClassVar[str] = "umeta theory trajectories --branching 2 --depth 10"
    branching: Annotated[int, arg(metavar="N")] = 2
    """Choices in each node of the tree."""
    depth: Annotated[int, arg(metavar="STEPS")] = 10
    """Longest horizon."""
    slip: Annotated[float, arg(metavar="P")] = 0.3
    """Of the noisy column: probability that a child is taken at random."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.theory_work import run_trajectories

        return run_trajectories(self)


@dataclass(frozen=True, kw_only=True)
class Bandit(Output):
    """Claim (c) in its smallest form, where every policy can be listed; and where posterior sampling is not best."""

    example: ClassVar[str] = "umeta theory bandit"
    reliability: Annotated[tuple[float, ...], arg(metavar="P...")] = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1)
    """Of the second of two arms; where it fails, the outcome is the first arm's."""
    arms: Annotated[int, arg(metavar="N")] = 10
    """Arms beside one that shows which pays."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.theory_work import run_bandit

        return run_bandit(self)


@dataclass(frozen=True, kw_only=True)
class Visits(Output, GridOptions):
    """Put states that a trained skill discoverer visited on the axes of the exact optimum."""

    example: ClassVar[str] = "umeta theory visits ends.npy --size 5x5 --horizon 10 --slip 0"
    file: Annotated[Positional[Path], arg(metavar="FILE.npy")]
    """Last states of episodes: whole numbers [n] or [n, steps], row and column [n, 2], or x and y as fractions [n, 2] or [n, steps, 2]."""
    slip: Annotated[float, arg(metavar="P")] = 0.0
    """Of the grid: probability that an action is replaced by one at random."""
    bounds: Annotated[tuple[float, float], arg(metavar="LOW HIGH")] = (-0.5, 0.5)
    """Of an arena with x and y: its least and greatest coordinate."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.theory_work import run_visits

        return run_visits(self)


Claim: TypeAlias = (
    Annotated[Grid, subcommand(name="grid", prefix_name=False)]
    | Annotated[SqrtLaw, subcommand(name="sqrt-law", prefix_name=False)]
    | Annotated[Memory, subcommand(name="memory", prefix_name=False)]
    | Annotated[Trajectories, subcommand(name="trajectories", prefix_name=False)]
    | Annotated[Bandit, subcommand(name="bandit", prefix_name=False)]
    | Annotated[Process, subcommand(name="process", prefix_name=False)]
    | Annotated[Visits, subcommand(name="visits", prefix_name=False)]
)


@dataclass(frozen=True)
class Theory:
    """Compute why it works: exact regret of explorers on small processes, with tables and figures."""

    example: ClassVar[str] = Grid.example
    parts: ClassVar[dict[str, type[Grid | SqrtLaw | Memory | Trajectories | Bandit | Process | Visits]]] = {
        "grid": Grid,
        "sqrt-law": SqrtLaw,
        "memory": Memory,
        "trajectories": Trajectories,
        "bandit": Bandit,
        "process": Process,
        "visits": Visits,
    }
    claim: Claim

    def run(self) -> int:
        """Do it."""
        return self.claim.run()
