"""`umeta theory` as a person calls it: tables, JSON, figures, and every bad input."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umeta.cli.main import parse
from umeta.cli.theory import Theory

FIGURES = Path(__file__).parents[2] / "docs" / "figures" / "theory"


def table_row(text, name):
    """Return the numbers of the first line that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(name))
    return line.removeprefix(name).split()


def test_the_grid_of_the_documentation(umeta, tmp_path):
    answer = umeta("theory", "grid", "--size", "5x5", "--slip", "0", "--horizon", "10", "--out", tmp_path / "theory")
    assert (answer.code, answer.err) == (0, "")
    for name in ("minimax (LP)", "MI (all policies)", "MI over goal skills", "uniform goals"):
        assert table_row(answer.out, name) == ["25.0"]
    assert table_row(answer.out, "random walk") == ["804.5"]
    assert "all policies: no skills tell more than log 25" in answer.out
    for figure in ("grid-regret.png", "grid-marginals.png"):
        assert Image.open(tmp_path / "theory" / figure).width > 600


def test_json_is_one_object_with_the_duals(umeta, tmp_path):
    content = umeta("theory", "grid", "--size", "3x3", "--slip", "0", "0.2", "--horizon", "4", "--out", tmp_path, "--json").json
    assert [one["slip"] for one in content["results"]] == [0, 0.2]
    for one in content["results"]:
        minimax = one["minimax"]
        assert minimax["value"] == pytest.approx(9, abs=1e-6) and abs(minimax["gap"]) < 1e-8
        assert sum(minimax["adversary"]) == pytest.approx(1)
        assert {len(entry["marginal"]) for entry in one["explorers"]} == {9}
    assert content["results"][1]["mutual_information"]["searched"].startswith("what a local search found")
    assert all(Path(figure).is_file() for figure in content["figures"])


def test_cells_behind_walls_are_named_and_left_out(umeta, tmp_path):
    answer = umeta("theory", "grid", "--size", "3x3", "--slip", "0", "--walls", "1,0", "1,1", "1,2", "--out", tmp_path)
    assert answer.code == 0
    assert "infinite regret for every explorer, left out: cell 2,0, cell 2,1, cell 2,2" in answer.out
    assert table_row(answer.out, "minimax (LP)") == ["3.0"]


def test_the_other_claims(umeta, tmp_path):
    law = umeta("theory", "sqrt-law", "--out", tmp_path)
    assert table_row(law.out, "ρ = p, matching the prior") == ["16.000"] == table_row(law.out, "ρ uniform")
    memory = umeta("theory", "memory", "--size", "3x3", "--horizon", "4", "--slip", "0", "--trials", "500", "--out", tmp_path)
    assert "n = 9 episodes without memory and (n + 1) / 2 = 5 with it" in memory.out
    trajectories = umeta("theory", "trajectories", "--depth", "4", "--out", tmp_path, "--json").json
    assert [row["by_program"] for row in trajectories["results"]] == pytest.approx([2, 4, 8, 16])
    bandit = umeta("theory", "bandit", "--out", tmp_path)
    assert table_row(bandit.out, "look, then go") == ["2.00"]
    assert {path.name for path in tmp_path.iterdir()} == {"sqrt-law.png", "memory.png", "trajectories.png", "bandit.png"}


def test_a_process_of_ones_own(umeta, tmp_path):
    transitions = np.zeros((3, 2, 3))
    transitions[0, 0, 1] = transitions[0, 1, 2] = 1
    transitions[[1, 2], :, [1, 2]] = 1
    np.savez(tmp_path / "own.npz", transitions=transitions, start=np.array([1.0, 0, 0]))
    answer = umeta("theory", "process", tmp_path / "own.npz", "--horizon", "2", "--out", tmp_path)
    assert table_row(answer.out, "minimax (LP)") == ["2.0"]
    assert "no episode ends in 1 states, infinite regret for every explorer, left out: state 0" in answer.out
    transitions[0, 0, 1] = 0.9
    np.savez(tmp_path / "own.npz", transitions=transitions, start=np.array([1.0, 0, 0]))
    assert "state 0, action 0, sum to 0.9, not 1" in umeta("theory", "process", tmp_path / "own.npz").error
    np.savez(tmp_path / "own.npz", transitions=transitions)
    assert "it lacks one" in umeta("theory", "process", tmp_path / "own.npz").error
    (tmp_path / "own.npz").write_bytes(b"PK\x03\x04 torn")
    assert "cannot be read as arrays of numbers" in umeta("theory", "process", tmp_path / "own.npz").error


def test_visits(umeta, tmp_path):
    np.save(tmp_path / "ends.npy", np.arange(8))
    answer = umeta("theory", "visits", tmp_path / "ends.npy", "--size", "3x3", "--horizon", "4", "--out", tmp_path)
    assert table_row(answer.out, "goals visited") == ["89", "%", "of", "9"]
    assert "infinite (3 or more, with 95 % confidence); the least possible is 9.0" in answer.out
    assert "never visited: cell 2,2" in answer.out
    content = umeta("theory", "visits", tmp_path / "ends.npy", "--size", "3x3", "--horizon", "4", "--out", tmp_path, "--json").json
    assert content["worst_hitting_time"] is None and content["unvisited"] == [8]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("grid --size 5", "--size '5' is not two whole numbers from 0 on, like 5x5"),
        ("grid --horizon 7", "1 of 25 goals cannot be reached at step 7: cell 4,4; so the regret of every explorer is infinite"),
        ("grid --horizon 0", "the horizon must be at least 1 step, not 0"),
        ("grid --slip 2", "slip is a probability in 0 to 1, not 2.0"),
        ("grid --slip 0.1 0.1", "give at least one --slip, each once"),
        ("grid --walls 0-1", "--walls '0-1' is not two whole numbers from 0 on, like 5,5"),
        ("grid --size 90000x90000", "use fewer states or a shorter horizon"),
        ("sqrt-law --goals 1", "2 to 400 goals"),
        ("sqrt-law --concentration 0", "a positive, finite concentration"),
        ("memory --trials 0", "at least 1 trial"),
        ("trajectories --depth 60", "use fewer states or a shorter horizon"),
        ("bandit --reliability 0", "reliabilities must be above 0"),
        ("process gone.npz", "gone.npz does not exist"),
        ("visits gone.npy", "gone.npy does not exist"),
    ],
)
def test_bad_input_is_one_line(umeta, tmp_path, monkeypatch, line, told):
    monkeypatch.chdir(tmp_path)
    answer = umeta("theory", *line.split())
    assert answer.code == 2 and answer.out == ""
    assert told in answer.error


def test_an_out_that_is_a_file(umeta, tmp_path):
    (tmp_path / "file").touch()
    assert umeta("theory", "bandit", "--out", tmp_path / "file").error == f"--out {tmp_path / 'file'} is a file; give a folder"


@pytest.mark.parametrize("part", Theory.parts)
def test_the_help_of_a_part_ends_with_an_example_that_can_be_parsed(umeta, part):
    answer = umeta("theory", part, "--help")
    assert answer.code == 0
    example = answer.out.splitlines()[-1].strip()
    assert example.startswith(f"umeta theory {part}")
    assert isinstance(parse(example.split()[1:]).claim, Theory.parts[part])


def test_the_figures_of_the_documentation_are_there_and_small():
    for name in ("grid-regret", "grid-marginals", "sqrt-law", "memory", "trajectories", "bandit", "visits"):
        assert 5_000 < (FIGURES / f"{name}.png").stat().st_size < 150_000


def test_files_that_are_not_what_they_seem_are_refused_in_words(umeta, tmp_path):
    single, text, strange = tmp_path / "single.npz", tmp_path / "text.npz", tmp_path / "complex.npz"
    with single.open("wb") as file:
        np.save(file, np.eye(2))
    text.write_text("not numbers")
    np.savez(strange, transitions=np.ones((1, 1, 1), complex), start=np.ones(1))
    for source, told in ((single, "single array"), (text, "not written by NumPy"), (strange, "real numbers, not complex128")):
        answer = umeta("theory", "process", source, "--horizon", 2, "--out", tmp_path / "out")
        assert answer.code == 2
        assert told in answer.error
        assert "pickle" not in answer.error


def test_an_out_that_cannot_be_made(umeta, tmp_path):
    (tmp_path / "file").write_text("")
    answer = umeta("theory", "bandit", "--out", tmp_path / "file" / "sub")
    assert (answer.code, "cannot be made" in answer.error) == (2, True)


def test_sizes_beyond_any_machine_and_infinite_concentrations(umeta, tmp_path):
    answer = umeta("theory", "trajectories", "--branching", 1000, "--depth", 1000, "--out", tmp_path)
    assert answer.code == 2
    assert "over 1e+12 states" in answer.error and "more than a million GiB" in answer.error
    answer = umeta("theory", "sqrt-law", "--concentration", "inf", "--out", tmp_path)
    assert (answer.code, "finite concentration" in answer.error) == (2, True)


def test_visits_that_are_not_numbers(umeta, tmp_path):
    np.save(tmp_path / "nan.npy", np.array([[0.1, np.nan], [0.2, 0.3]]))
    answer = umeta("theory", "visits", tmp_path / "nan.npy", "--size", "3x3", "--horizon", 4, "--out", tmp_path)
    assert (answer.code, "1 of 2 positions are not finite" in answer.error) == (2, True)
