"""Knows how a command becomes a verb's call, and how a failure becomes one line and an exit code."""

import difflib
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TextIO, Union, get_args, get_origin

import tyro

from umeta.cli.bench import Bench
from umeta.cli.verbs import VERBS, Verb
from umeta.core.errors import InputError, UmetaError

TOP_EXAMPLE = "umeta demo"
SUMMARY = "Unsupervised meta-learning: from unlabeled images to a procedure that learns from a few labels."
CONFIG = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
REGISTRY = tyro.constructors.ConstructorRegistry()


@REGISTRY.primitive_rule
def _choice(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """Let an option with a few choices take these and not `None`, which only says that it was not given."""
    literal, *rest = get_args(info.type) or (None,)
    if rest != [NoneType] or get_origin(literal) is not Literal:
        return None
    choices = get_args(literal)
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(choices) + "}",
        instance_from_str=lambda given: given[0],
        is_instance=lambda value: value is None or value in choices,
        str_from_instance=lambda value: [str(value)],
        choices=choices,
    )


def parse(arguments: Sequence[str]) -> Verb:
    """Return the verb with its options; exits with code 2 on bad usage and 0 after `--help`."""
    name = arguments[0]
    if name == "bench":  # what follows a benchmark's name is not ours to read
        return Bench.parse(arguments[1:], CONFIG)
    if name in VERBS:
        return tyro.cli(VERBS[name], prog=f"umeta {name}", args=list(arguments[1:]), config=CONFIG, registry=REGISTRY)
    if not name.startswith("-"):
        near = difflib.get_close_matches(name, VERBS, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(VERBS)}"
        raise InputError(f"there is no verb {name!r}; {hint}")
    commands = [Annotated[verb, tyro.conf.subcommand(name=name, prefix_name=False)] for name, verb in VERBS.items()]
    union: Any = Union[tuple(commands)]  # noqa: UP007 - the members are known at run time only
    chosen: Verb = tyro.cli(union, prog="umeta", description=SUMMARY, args=list(arguments), config=CONFIG, registry=REGISTRY)
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    _mend_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    if given == ["--version"]:
        from importlib.metadata import version

        sys.stdout.write(f"umeta {version('umeta')}\n")
        return 0
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return _run(given or ["--help"])
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


def _run(given: Sequence[str]) -> int:
    """Run the verb that was given; what it prints has left the process when this returns."""
    try:
        verb = parse(given)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 2
        if code == 0:
            sys.stdout.write("\n--debug shows where an error came from; umeta --version prints the version.\n")
            sys.stdout.write(f"\nExample:\n  {_example(given)}\n")
        sys.stdout.flush()
        return code
    code = verb.run()
    sys.stdout.flush()
    return code


def _example(given: Sequence[str]) -> str:
    """Return the example of the verb, or of the part of a verb, whose help was asked for."""
    if given[0] not in VERBS:
        return TOP_EXAMPLE
    verb = VERBS[given[0]]
    part = getattr(verb, "parts", {}).get(given[1] if len(given) > 1 else "", verb)
    return str(part.example)


def _mend_streams() -> None:
    """Let output go nowhere where a stream is closed, and escape what the terminal's encoding cannot show."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open as long as the process
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    one_line = re.sub(r"\s*\n\s*", " ", message)
    sys.stderr.write(f"umeta: {one_line}\n")


def _warn(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """Show a warning as errors are shown, without the line of source that gave it."""
    _tell(f"{'' if category is UserWarning else category.__name__ + ': '}{message}", debug=False)


if __name__ == "__main__":
    sys.exit(main())
