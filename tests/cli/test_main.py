"""What a person reads and what a shell sees: help, versions, errors, exit codes, streams."""

import os
import re
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from umeta.cli.verbs import VERBS

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def golden(monkeypatch):
    """Compare text with a file in tests/golden; UMETA_UPDATE_GOLDEN=1 writes the file."""

    def compare(name, text):
        path = GOLDEN / f"{name}.txt"
        text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
        if os.environ.get("UMETA_UPDATE_GOLDEN") == "1":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"if this is meant: UMETA_UPDATE_GOLDEN=1 pytest {__file__}"

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return compare


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "umeta.cli.main", *arguments], capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize("verb", VERBS)
def test_help_ends_with_an_example(umeta, golden, verb):
    answer = umeta(verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    last = answer.out.splitlines()[-1]
    assert re.match(rf"  umeta {verb}\b", last)
    assert answer == umeta(verb, "-h")
    golden(f"help-{verb}", answer.out)


def test_help_of_all(umeta, golden):
    answer = umeta("--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer == umeta() == umeta("-h")
    golden("help", answer.out)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if VERBS[verb].example != f"umeta {verb}"])
def test_the_example_of_a_verb_can_be_parsed(verb):
    from umeta.cli.main import parse

    assert isinstance(parse(VERBS[verb].example.split()[1:]), VERBS[verb])


def test_errors_are_one_line_and_stay_as_they_are(umeta, golden, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UMETA_DATA", raising=False)
    Path("empty").mkdir()
    commands = (
        "lern photos",
        "learn photos",
        "learn photos --out run",
        "learn empty --out run",
        "learn glyphs --out run --recipe cactus-mamml",
        "learn glyphs --out run --budget 20",
        "learn glyphs --out run --budget 20m --steps 3",
        "learn glyphs --out run --steps 3 --overwrit",
        "learn glyphs --out run --protocol script",
        "learn glyphs --out run --recipe cactus-protonets --embedding ../acia",
        "learn omniglot --out run",
        "evaluate run --on glyphs",
        f"evaluate {run} --on glyhps",
        f"evaluate {run} --on glyphs --ways 9999",
        f"evaluate {run} --on glyphs --shots 9 --queries 9",
        "predict model.pkl x.png",
        f"adapt {run} --support empty --out clf",
        "compare empty",
        "cite empty",
        "inspect empty",
    )
    told = []
    for line in commands:
        answer = umeta(*line.split())
        shown = line.replace(str(run), "RUN")
        told += [f"$ umeta {shown}", answer.err.replace(str(run), "RUN").replace(str(tmp_path), ".").rstrip(), f"[{answer.code}]", ""]
        assert answer.out == ""
        assert "Traceback" not in answer.err
    golden("errors", "\n".join(told))


@pytest.mark.parametrize(("verb", "option"), [("learn", "--partition"), ("adapt", "--head"), ("export", "--head"), ("learn", "--net")])
@pytest.mark.parametrize("given", ["nosuch", "None"])
def test_an_option_not_given_is_no_choice(umeta, verb, option, given):
    answer = umeta(verb, "x", "--out", "y", option, given)
    assert (answer.code, f"invalid choice '{given}'" in answer.err) == (2, True)
    assert "'None'" not in answer.err.replace("choice 'None'", "")


def test_debug_adds_the_traceback(umeta, tmp_path):
    plain = umeta("learn", tmp_path / "gone", "--out", tmp_path / "run")
    debug = umeta("learn", tmp_path / "gone", "--out", tmp_path / "run", "--debug")
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err and debug.err.endswith(plain.err)
    assert debug.code == plain.code == 2


def test_an_unexpected_failure_is_one_line_too(umeta, run, monkeypatch):
    def broken(self):
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(VERBS["cite"], "run", broken)
    answer = umeta("cite", run)
    assert answer.code == 1
    assert answer.error == "unexpected RuntimeError: first line second line (--debug shows where)"


def test_version(umeta):
    answer = umeta("--version")
    assert (answer.code, answer.out) == (0, f"umeta {version('umeta')}\n")


def test_recipes(umeta):
    listed = umeta("recipes")
    assert listed.code == 0
    content = umeta("recipes", "--json").json
    assert "default" in content["recipes"]
    for name, recipe in content["recipes"].items():
        (line,) = (line for line in listed.out.splitlines() if line.split()[0] == name)
        papers = line.partition(recipe["summary"])[2].strip(" []").split(", ")
        # A key begins with the first author's name.
        authors, years = zip(*(paper.split() for paper in papers), strict=True)
        assert all(len(year) == 4 and year.isdigit() for year in years) and len(authors) == len(recipe["papers"])
        assert all(key.startswith(author.lower()) for author, key in zip(authors, recipe["papers"], strict=True))


def test_help_is_quick_and_does_not_import_torch():
    check = "import sys; from umeta.cli.main import main; main(['--help']); print(sorted({m.partition('.')[0] for m in sys.modules}))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = command("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.6
    modules = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout.splitlines()[-1]
    assert "'tyro'" in modules
    for heavy in ("torch", "numpy", "sklearn", "matplotlib", "PIL"):
        assert f"'{heavy}'" not in modules


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"HOME": "", "LC_ALL": "C"},
    ],
)
def test_a_poor_terminal(environment, tmp_path):
    name = "ünïcode ヒ"
    done = command("inspect", tmp_path / name, env=os.environ | environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "does not exist" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("reader", ["true", "head -1"])
def test_a_reader_that_goes_away(unbuffered, reader):
    line = f"{sys.executable} -m umeta.cli.main recipes --json | {reader}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    assert done.stdout.splitlines() == ["{"] * (reader != "true") + ["0"]
    assert done.stderr == ""


def test_closed_streams():
    line = f"{sys.executable} -m umeta.cli.main recipes >&- <&-; echo $?; {sys.executable} -m umeta.cli.main lern 2>&- <&-; echo $?"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n2\n", "")
