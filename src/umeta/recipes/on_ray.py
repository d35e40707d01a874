"""Knows how Ray starts the processes that share a run, on this machine or on a cluster, and starts them again where one was lost."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from umeta.artifacts.artifact import read_json
from umeta.core.errors import InputError, ProcessLostError, UmetaError
from umeta.core.parallel import LONGEST_WAIT, Team
from umeta.core.progress import Quiet, Reporter
from umeta.recipes.learn import learn
from umeta.recipes.mailbox import EXCHANGE_S, Mailbox, Voice
from umeta.recipes.ray_data import MOST_LOSSES, DataWorkers
from umeta.recipes.request import Request
from umeta.recipes.sharing import check_shared, fitting

ANSWER_S = 5.0
# Ray is told by the environment. Its workers' usual niceness of 15 starves them beside any other work. The setting that is named after two
# systems keeps a cluster of our own on the loopback interface, on any system. The expression fits all that Ray would print by itself of
# workers that were lost, on standard output.
SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
OWN_SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
JOINING_SETTINGS = {"RAY_NUM_REDIS_GET_RETRIES": "5"}
HANDED_ON = ("UMETA_DATA", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """What every worker is told.

    Attributes:
        request: What to do.
        out: The run folder, on a file system that all workers see.
        folder: Where relative paths begin.
        resume: Go on with a stopped run.
        overwrite: Replace a run that is there.
        spent_s: Seconds that the command took before its workers began.
        n_threads: Of each worker.
        mailbox: The actor through which workers and command talk.
    """

    request: Request
    out: Path
    folder: Path
    resume: bool
    overwrite: bool
    spent_s: float
    n_threads: int
    mailbox: Any


def learn_on_ray(
    request: Request,
    out: Path,
    *,
    n_workers: int | None = None,
    address: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
    began: float | None = None,
) -> dict[str, Any]:
    """Learn as `umeta.recipes.learn.learn` does, by workers that Ray starts and that share the practice.

    A worker that is lost is started again with all others, at most `MOST_LOSSES` times, and they go on at the newest checkpoint.

    Args:
        request: What to do.
        out: The run folder; workers on other machines need it on a file system in common.
        n_workers: How many processes; None is as many as there are processors and the tasks allow. Each has as many threads as
            `OMP_NUM_THREADS` says, 1 without it.
        address: "host:port" of a cluster that this machine is part of; None starts one here, for as long as the run takes.
        resume: Go on with a stopped run.
        overwrite: Replace a run that is there.
        reporter: Where progress goes.
        stop: Asked now and then whether to end early with a checkpoint.
        began: When the command began, on `time.monotonic`'s clock.

    Returns:
        The manifest.

    Raises:
        InputError: Ray is not installed, no cluster answers, it refuses the token, or processors are too few; and as `learn`.
        UmetaError: Workers were lost too often; and as `learn`.
    """
    n_threads = threads_each()
    began = time.monotonic() if began is None else began
    with started(address, out, partial(checked, request, n_workers, n_threads)) as (n_workers, storage):
        import ray

        mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
        spent_s = time.monotonic() - began
        job = Job(request, out.absolute(), Path.cwd(), resume, overwrite, spent_s, n_threads, mailbox)
        failures: list[Exception] = []
        training = threading.Thread(target=_train, args=(job, n_workers, storage, failures), daemon=True)
        training.start()
        while training.is_alive():
            training.join(EXCHANGE_S)
            for name, *values in ray.get(mailbox.take.remote(bool(stop and stop()))):
                getattr(reporter or Quiet(), name)(*values)
        ended = ray.get(mailbox.failure.remote())
        if ended is not None:
            raise ended
        if failures:
            raise UmetaError(
                f"workers were lost more than {MOST_LOSSES} times, the last one by: {last_line(failures[0])}; "
                "what is done is saved, go on with the same command and --resume"
            ) from failures[0]
    return read_json(out / "manifest.json")


@cache
def own_token() -> str:
    """Return the token of what this process starts; one for all, because Ray remembers the first that a process had."""
    return secrets.token_hex(32)


def processors_here() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked(request: Request, n_workers: int | None, n_threads: int, n_processors: int) -> int:
    """Return how many workers to start; raises `InputError` if they cannot share the run, or have too few processors."""
    n_workers = n_workers or fitting(request, max(n_processors // n_threads, 1))
    check_shared(request, Team(0, n_workers))
    return placed(n_workers, n_threads, n_processors)


def threads_each() -> int:
    """Return how many threads a worker has, unless somebody says otherwise."""
    return int(os.environ.get("OMP_NUM_THREADS") or 1)


def placed(n_workers: int | None, n_threads: int, n_processors: int, setting: str = "OMP_NUM_THREADS=") -> int:
    """Return how many workers to start, by default as many as there are processors for; raises `InputError` if these are too few.

    Args:
        n_workers: That were asked for.
        n_threads: Of each.
        n_processors: That there are.
        setting: Where threads were asked for, as it is typed.
    """
    most = n_processors // n_threads
    n_workers = n_workers or max(most, 1)
    if n_workers > most:
        remedy = f"give --workers {most} or fewer" if most else "give fewer threads"
        raise InputError(f"{n_workers} workers with {setting}{n_threads} are too many for {n_processors} processors; {remedy}")
    return n_workers


@contextmanager
def started(address: str | None, out: Path, place: Callable[[int], int]) -> Iterator[tuple[int, Path]]:
    """Start or join a cluster for some workers, as `connected` does; where it is this machine alone, they are refused before Ray starts.

    Args:
        address: "host:port" of a cluster, or None for one on this machine.
        out: Beside which a cluster keeps what Ray keeps.
        place: Returns how many workers there are to be on a number of processors, or raises `InputError`.

    Yields:
        How many workers, and the folder of `connected`.

    Raises:
        InputError: Ray is not installed; as `place`; as `connected`.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("--engine ray needs Ray; install it by: pip install 'umeta[ray]'")
    if address is None:
        place(processors_here())
    with connected(address, out) as (n_processors, storage):
        yield place(n_processors), storage


@contextmanager
def connected(address: str | None, out: Path) -> Iterator[tuple[int, Path]]:
    """Start Ray on this machine, for itself alone and with a token that nobody else has, or join a cluster.

    Yields:
        How many processors it has, and a folder for what Ray keeps of a run; it goes away in the end.
    """
    own = address is None
    settings = SETTINGS | (OWN_SETTINGS | {"RAY_AUTH_TOKEN": own_token()} if own else JOINING_SETTINGS)
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update({name: value for name, value in settings.items() if own or name not in os.environ})
    folder = Path(tempfile.mkdtemp(prefix="umeta-ray-")) if own else out.absolute().parent / f".{out.name}.ray"
    try:
        if address is not None:
            _check_answer(address)
        import ray

        quiet: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        if own:
            ray.init("local", num_cpus=processors_here(), include_dashboard=False, _temp_dir=str(folder), **quiet)
        else:
            _join(str(address), quiet)
        for number, handler in handlers.items():  # which Ray has replaced
            signal.signal(number, handler)
        try:
            with redirect_stdout(sys.stderr):  # where Ray tells of lost workers; standard output is the command's own
                yield int(ray.cluster_resources().get("CPU", 0)), folder / "train"
        finally:
            ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _check_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWER_S).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Ray cluster answers at {address!r}; give HOST:PORT as `ray start --head` tells it, or leave out --address"
        ) from error


def _join(address: str, quiet: dict[str, Any]) -> None:
    import ray

    handed = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
    try:
        with _hushed():
            ray.init(address, runtime_env={"env_vars": handed}, **quiet)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        if "Authentication" in "".join(traceback.format_exception(error)):
            raise InputError(
                f"the Ray cluster at {address} refuses the token; give its own in RAY_AUTH_TOKEN, or its file in RAY_AUTH_TOKEN_PATH"
            ) from error
        raise InputError(f"the Ray cluster at {address} cannot be joined: {last_line(error)}") from error


@contextmanager
def _hushed() -> Iterator[None]:
    """Drop what is written to standard error, by Ray's own library too, which repeats a refusal once for every attempt."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _train(job: Job, n_workers: int, storage: Path, failures: list[Exception]) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    try:
        TorchTrainer(
            work,
            train_loop_config={"job": job},
            torch_config=TorchConfig(backend="gloo", timeout_s=int(LONGEST_WAIT.total_seconds())),
            scaling_config=ScalingConfig(num_workers=n_workers, resources_per_worker={"CPU": job.n_threads}),
            run_config=RunConfig(name="run", storage_path=str(storage), failure_config=FailureConfig(max_failures=MOST_LOSSES)),
        ).fit()
    except Exception as error:
        failures.append(error)


def work(config: dict[str, Job]) -> None:
    """Do one worker's part; what a person has to mend ends the run, anything else lets Ray start the workers again."""
    import ray
    from ray import train

    job, context = config["job"], train.get_context()
    team = Team(context.get_world_rank(), context.get_world_size(), exact=True)
    os.chdir(job.folder)
    torch.set_num_threads(job.n_threads)
    voice = Voice(job.mailbox)
    again = team.rank == 0 and ray.get(job.mailbox.begin.remote())
    if again:
        voice.note("a worker was lost; all go on at the newest checkpoint")
    try:
        learn(
            job.request,
            job.out,
            resume=job.resume or again,
            overwrite=job.overwrite and not again,
            reporter=voice,
            stop=voice.stop if team.rank == 0 else None,
            began=time.monotonic() - job.spent_s,
            team=team,
            hands=DataWorkers(team.size, job.n_threads),
        )
    except ProcessLostError:
        if ray.get(job.mailbox.failure.remote()) is None:
            raise
    except (UmetaError, OSError) as error:
        ray.get(job.mailbox.end.remote(error.with_traceback(None)))
        if distributed.is_initialized():
            distributed.destroy_process_group()  # the others wait for this one
    finally:
        if team.rank == 0:
            voice.speak()


def last_line(error: BaseException) -> str:
    """Return the last line of what an error says, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
