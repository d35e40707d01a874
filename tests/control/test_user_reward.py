"""A user's reward: what works, and whose line it is where it does not."""

import pytest
import torch

from umeta.control.user_reward import load_reward
from umeta.core.errors import InputError

SEEN = torch.zeros(2, 3, 5, 2)


def written(folder, text, name="reward"):
    path = folder / "my_task.py"
    path.write_text(text)
    return load_reward(f"{path}:{name}")


def test_tensors_and_arrays_are_taken(tmp_path):
    torch.testing.assert_close(written(tmp_path, "def reward(s, a, t):\n    return t[..., 0] + 1\n")(SEEN, SEEN, SEEN), torch.ones(2, 3, 5))
    given = written(tmp_path, "def reward(s, a, t):\n    return t.numpy()[..., 0] - 2\n")(SEEN, SEEN, SEEN)
    assert given.dtype == torch.float32 and given.max() == -2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def reward(s, a, t):\n    x = 1\n    return t[..., 9]\n", r"my_task.py:3: reward raised IndexError"),
        ("def reward(s, a, t):\n    return t\n", r"my_task.py:1: reward returned shape \[2, 3, 5, 2\] for \[2, 3, 5\] steps"),
        ("\n\ndef reward(s, a, t):\n    return (t / 0)[..., 0]\n", r"my_task.py:3: reward returned NaN or infinity for 30 of 30 steps"),
        ("def reward(s, a, t):\n    return 'x'\n", r"my_task.py:1: reward returned str 'x', not a tensor of one number each"),
        ("def reward(s, a, t):\n    t[..., 0]\n", r"my_task.py:1: reward returned None, not a tensor of one number each"),
    ],
)
def test_a_reward_that_is_none_names_file_and_line(tmp_path, text, said):
    reward = written(tmp_path, text)
    with pytest.raises(InputError, match=said):
        reward(SEEN, SEEN, SEEN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nimport nothing_of_that_name\n", r"my_task.py:2: the file does not run, ModuleNotFoundError"),
        ("x = 1\ndef reward(:\n", r"my_task.py:2: the file does not run, SyntaxError"),
        ("x = 1\n", "has no function 'reward'"),
    ],
)
def test_a_file_that_does_not_run_is_named_with_its_line(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        written(tmp_path, text)


@pytest.mark.parametrize("place", ["my_task.py", "my_task.py:", ":reward", "no.py:reward"])
def test_a_place_that_is_none(place):
    with pytest.raises(InputError, match=r"my_task.py:reward, a file and the name"):
        load_reward(place)
