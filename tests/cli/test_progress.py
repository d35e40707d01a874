import os
import pty
import re
import subprocess
import sys

from umeta.cli import progress


def test_off_a_terminal_a_plain_line_every_half_minute(monkeypatch, capsys):
    clock = iter([0.0, 0.0, 10.0, 29.0, 31.0, 45.0, 62.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    reporter = progress.PlainReporter()
    reporter.stage("meta_train")
    for done in (0.1, 0.2, 0.25, 0.4, 0.5):
        reporter.update(done, "step 7")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "meta_train ..."
    assert lines[1:] == ["meta_train: 25 %  step 7  0:31 spent, 1:33 left", "meta_train: 50 %  step 7  1:02 spent, 1:02 left"]


def test_a_learning_line_has_step_rate_and_metric(umeta, make, source, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0)
    answer = umeta("learn", source, "--out", tmp_path / "run", *make.QUICK, "--steps", 2)
    assert re.search(r"^meta_train: 50 %  step 1, [\d.]+/s  accuracy 0\.\d{4}  0:\d\d spent, 0:\d\d left$", answer.err, re.MULTILINE)


def test_on_a_terminal_a_bar_that_is_gone_at_the_end():
    draw = "from umeta.cli.progress import make_reporter as m; r = m(); r.stage('s'); r.update(.5, 'half'); r.note('[x] stays'); r.close()"
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", draw], stderr=follower, stdin=follower, env=environment, check=True)
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "half" in shown and "50%" in shown and "[x] stays" in shown
    assert shown.rstrip().endswith("\x1b[2K") or "\x1b[2K" in shown.rpartition("half")[2], "the line is erased"
