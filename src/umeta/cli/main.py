"""Knows how a command becomes a verb's call, and how a failure becomes one line and an exit code."""

import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro

from umeta.cli.verbs import VERBS, Verb
from umeta.core.errors import UmetaError

TOP_EXAMPLE = "umeta demo"


def parse(arguments: Sequence[str]) -> Verb:
    """Return the verb with its options; exits with code 2 on bad usage and 0 after `--help`."""
    commands = [Annotated[verb, tyro.conf.subcommand(name=name, prefix_name=False)] for name, verb in VERBS.items()]
    union: Any = Union[tuple(commands)]  # noqa: UP007 - the members are known at run time only
    chosen: Verb = tyro.cli(
        union,
        prog="umeta",
        description="Unsupervised meta-learning: from unlabeled images to a procedure that learns from a few labels.",
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.ConsolidateSubcommandArgs, tyro.conf.OmitArgPrefixes),
    )
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    asked_help = not given or any(argument in ("-h", "--help") for argument in given)
    if given == ["--version"]:
        from importlib.metadata import version

        sys.stdout.write(f"umeta {version('umeta')}\n")
        return 0
    try:
        verb = parse(given or ["--help"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 2
        if asked_help and code == 0:
            sys.stdout.write(f"\nExample:\n  {_example(given)}\n")
        return code
    try:
        return verb.run()
    except UmetaError as error:
        _tell(str(error), debug)
        return error.exit_code
    except KeyboardInterrupt:
        _tell("interrupted", debug)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _tell(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), debug)
        return 1
    except Exception as error:
        _tell(f"unexpected {type(error).__name__}: {error} (--debug shows where)", debug)
        return 1


def _example(given: Sequence[str]) -> str:
    for argument in given:
        if argument in VERBS:
            return VERBS[argument].example
    return TOP_EXAMPLE


def _tell(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    one_line = re.sub(r"\s*\n\s*", " ", message)
    sys.stderr.write(f"umeta: {one_line}\n")


if __name__ == "__main__":
    sys.exit(main())
