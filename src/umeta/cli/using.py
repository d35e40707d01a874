"""Knows what the verbs that use a finished run are called with; the work itself is imported only when a verb runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from umeta.cli.folder import AGENT, CLASSIFIER, IMAGE_RUN, RUN, check_folder
from umeta.cli.say import say
from umeta.recipes.route import is_control_run

Head = Literal["prototypes", "power", "center", "tune", "em", "linear", "nearest", "gradient"]


@dataclass(frozen=True)
class Adapt:
    """Learn a classifier from a few labeled images, or in an environment to follow a reward."""

    example: ClassVar[str] = "umeta adapt runs/photos --support labeled/ --out my-classifier"
    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """Where the classifier, or the agent, goes."""
    support: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """DIR/<class name>/<image>: the folder's name is the label."""
    reward: Annotated[str | None, arg(metavar="FILE.py:NAME", help_behavior_hint="")] = None
    """Of a run in an environment: reward(observation, action, reached), called with batches of tensors."""
    episodes: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Of a run in an environment: episodes to learn the reward in, by whole steps (of 20, except for rl2 recipes), one at least;
    default as it was trained to."""
    head: Annotated[Head | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """How classes are learned in the run's embedding; the names are those of `evaluate`."""
    reject: Annotated[float | None, arg(metavar="SHARE", help_behavior_hint="")] = None
    """Answer "none of these" where fitting; this share of images of no class may be named all the same, 0.05 say."""
    standalone: bool = False
    """Write the network too; otherwise the classifier needs the run."""
    overwrite: bool = False
    """Replace a classifier or an agent that is there."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.run_folder, "adapt", *RUN)
        if is_control_run(self.run_folder):
            from umeta.cli import control_work

            return control_work.run_adapt(self)
        from umeta.cli.using_work import run_adapt

        return run_adapt(self)


@dataclass(frozen=True)
class Predict:
    """Say what an adapted classifier sees in images: label and probability."""

    example: ClassVar[str] = "umeta predict my-classifier photos/*.jpg"
    classifier: Annotated[Positional[Path], arg(metavar="CLF")]
    """What `adapt` wrote."""
    images: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGE...")]
    """Image files."""
    run_folder: Annotated[Path | None, arg(name="run", metavar="RUN", help_behavior_hint="")] = None
    """Where the classifier's run is now, if it was moved."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.classifier, "predict", CLASSIFIER)
        from umeta.cli.using_work import run_predict

        return run_predict(self)


@dataclass(frozen=True)
class Rollout:
    """Show what an adapted agent does: one episode as a video."""

    example: ClassVar[str] = "umeta rollout agent --video out.gif"
    agent: Annotated[Positional[Path], arg(metavar="AGENT")]
    """What `adapt` wrote in an environment."""
    video: Annotated[Path, arg(metavar="FILE")]
    """A .gif, or a .mp4 where ffmpeg is installed."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Of the episode."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.agent, "rollout", AGENT)
        from umeta.cli.control_work import run_rollout

        return run_rollout(self)


@dataclass(frozen=True)
class Report:
    """Write one HTML file about a run: from what it learned, what tasks it made up, how well it does."""

    example: ClassVar[str] = "umeta report runs/photos"
    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run."""
    out: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """The file; default RUN/report.html. One that is there is replaced."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.run_folder, "report", *RUN)
        from umeta.web.report import write_report

        out = self.out or self.run_folder / "report.html"
        write_report(self.run_folder, out)
        say(f"the report is in {out}")
        return 0


@dataclass(frozen=True)
class Serve:
    """Open a page in the browser on which anyone can teach a run by drawing, dropping or photographing examples, or set it goals."""

    example: ClassVar[str] = "umeta serve runs/photos"
    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run."""
    port: Annotated[int, arg(metavar="N")] = 8000
    """The port."""
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1"
    """The address; one that others can reach needs --token."""
    token: Annotated[str | None, arg(metavar="SECRET", help_behavior_hint="")] = None
    """What every request must bring; the address that is printed has it."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.run_folder, "serve", *RUN)
        from umeta.core.errors import InputError

        try:
            from umeta.web.server import serve
        except ModuleNotFoundError as error:
            raise InputError(f"the page needs {error.name}, which is not installed; pip install 'umeta[web]'") from error
        serve(self.run_folder, self.host, self.port, self.token, say)
        return 0


@dataclass(frozen=True)
class Export:
    """Write a run's learning procedure as one graph, examples and queries in, probabilities out; checked before it is written."""

    example: ClassVar[str] = "umeta export runs/photos --out photos.onnx"
    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run."""
    out: Annotated[Path, arg(metavar="FILE")]
    """The file: an .onnx, or a .pt2 with --format torch."""
    head: Annotated[Literal["prototypes", "power", "center"] | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """How classes are learned: prototypes, power or center; default the run's own."""
    format: Literal["onnx", "torch"] = "onnx"
    """ONNX needs umeta[onnx]; torch is the form of torch.export."""
    overwrite: bool = False
    """Replace a file that is there."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.run_folder, "export", IMAGE_RUN)
        from umeta.cli.using_work import run_export

        return run_export(self)


@dataclass(frozen=True)
class Suggest:
    """Say which images to label next: first those that stand for many others, then, with labels, for doubtful ones."""

    example: ClassVar[str] = "umeta suggest runs/photos --images photos/ --n 20"
    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run."""
    images: Annotated[Path, arg(metavar="DIR")]
    """Unlabeled images."""
    n: Annotated[int, arg(metavar="N")] = 20
    """How many."""
    labeled: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """DIR/<class name>/<image>: what has labels already."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.run_folder, "suggest", IMAGE_RUN)
        from umeta.cli.using_work import run_suggest

        return run_suggest(self)
