"""The report of a run: what is in it, that it asks nothing of a network, and that nothing in a run folder can inject into it."""

import base64
import io
import json
import re
import shlex
import shutil
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from umeta.cli.main import main, parse
from umeta.cli.work import request_of
from umeta.core.errors import ArtifactError, InputError, UmetaError
from umeta.evaluation.report import Report, Row
from umeta.web.commands import commands
from umeta.web.report import metric_charts, render, write_report


class Seen(HTMLParser):
    """Collects tags, addresses, and elements that were never closed."""

    VOID = {"meta", "img"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def row(method, accuracy, k_shot=1):
    return Row(method, 5, k_shot, 15, accuracy, ci95=0.004, n_tasks=1000, transductive=method == "em")


@pytest.fixture
def scored(run, tmp_path):
    """A copy of the run with results on a benchmark."""
    shutil.copytree(run, tmp_path / "proto")
    rows = (row("cactus-protonets", 0.8123), row("<b>pixels</b>", 0.25), row("em", 0.83), row("em", 0.9, k_shot=5))
    report = Report("glyphs", "scripts", 0, 0, {"meta_train": 0}, {}, rows)
    (tmp_path / "proto" / "evaluation").mkdir()
    (tmp_path / "proto" / "evaluation" / "glyphs-scripts.json").write_text(json.dumps(report.to_json(with_tasks=True)))
    return tmp_path / "proto"


def test_a_report_asks_nothing_of_a_network(scored):
    page = render(scored)
    seen = Seen(page)
    assert not seen.open
    assert not {"script", "link", "iframe", "object", "form"} & set(seen.tags)
    assert len(seen.addresses) == 4 and all(address.startswith("data:image/png;base64,") for address in seen.addresses)
    assert "url(" not in page and "@import" not in page
    for address in seen.addresses:
        Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).verify()


def test_a_report_says_what_was_learned_and_how_well(scored):
    page = render(scored)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "240 distinct images" in text and "28 × 28 pixels, gray" in text and "No label was seen" in text
    assert "81.23 ±0.40" in text and "90.00 ±0.40" in text and "<b>pixels" not in page
    assert "@inproceedings{hsu2019cactus" in text and "johnson2019faiss" in text
    assert page.count("<svg") == 3 + 2, "loss, accuracy and agreement; two kinds of task"


def test_what_a_run_folder_holds_is_escaped(scored):
    for name in ("manifest.json", "config.json"):
        content = json.loads((scored / name).read_text())
        content["source"] = "<script>alert(1)</script>'; rm -rf ~; '"
        (scored / name).write_text(json.dumps(content))
    page = render(scored)
    assert "<script" not in page
    assert "umeta learn &#39;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&#34;" in page, "quoted for the shell, then for HTML"


def test_the_commands_can_be_parsed_and_give_what_differs_from_the_recipe(scored):
    config = json.loads((scored / "config.json").read_text())
    report = Report.from_json(json.loads((scored / "evaluation" / "glyphs-scripts.json").read_text()))
    learn, evaluate = commands(scored, config, [report])
    verb = parse(learn.split()[1:])
    assert (verb.recipe, verb.embedding, verb.partitions, verb.image_size, verb.steps, verb.budget) == (
        "cactus-protonets",
        "pixels",
        2,
        28,
        8,
        None,
    )
    assert (verb.clusters, verb.splits, verb.augment, verb.on) == (None, None, None, None) and not verb.first_order
    verb = parse(evaluate.split()[1:])
    assert (verb.on, verb.ways, verb.shots, verb.queries, verb.baselines) == ("glyphs", (5,), (1, 5), 15, True)


def test_the_command_of_a_run_has_all_of_its_settings():
    given = ("--lr", "0.01", "--net", "resnet12", "--width", "8", "--partition", "hyperplanes", "--margin", "0.5", "--first-order")
    words = ["learn", "photos", "--out", "run", "--recipe", "cactus-maml", "--steps", "3", *given]
    config = asdict(request_of(parse(words)))
    (line,) = commands(Path("run"), config, [])
    assert request_of(parse(shlex.split(line)[1:])) == request_of(parse(words))


def test_stages_follow_one_another_in_time(tmp_path):
    lines = ["stage,step,elapsed_s,name,value", "acai,1,0,loss,9", "acai,9,60,loss,8", "meta_train,1,0,loss,3", "meta_train,5,120,loss,2"]
    (tmp_path / "metrics.csv").write_text("\n".join([*lines, "round_1,1,0,loss,2", "round_1,4,60,loss,1", "torn,2"]))
    (first, _), (second, chart) = metric_charts(tmp_path / "metrics.csv")
    assert (first, second) == ("loss (acai)", "loss")
    assert chart.count("<polyline") == 2 and chart.count('class="seam"') == 1
    assert re.findall(r'text-anchor="middle">([\d.]+)<', chart) == ["1", "1.5", "2", "2.5", "3", "3.5", "4"]


def test_the_verb_and_what_it_refuses(scored, run, tmp_path, capsys):
    assert main(["report", str(scored)]) == 0
    assert (scored / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(InputError, match="not a run folder"):
        write_report(tmp_path / "none", tmp_path / "x.html")
    with pytest.raises(InputError, match="give a file in a folder that exists"):
        write_report(run, tmp_path / "none" / "x.html")
    (scored / "tasks.png").write_bytes(b"\x89PNG<svg onload=alert(1)>")
    with pytest.raises(ArtifactError, match=r"tasks\.png is not a readable picture"):
        write_report(scored, tmp_path / "x.html")
    weights = scored / "procedure" / "tensors.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(UmetaError, match="truncated or was altered"):
        write_report(scored, tmp_path / "x.html")
    assert not list(tmp_path.glob("x.html*"))
