"""Every embedding by the command line: learned ones, and networks that others trained."""

import json

import numpy as np
import onnx
import pytest
import transformers

QUICK = ("--recipe", "cactus-protonets", "--partitions", 1, "--image-size", 14, "--steps", 2)


@pytest.fixture
def onnx_file(tmp_path):
    """An ONNX file that flattens gray images of 14 x 14 and halves them."""
    helper = onnx.helper
    nodes = [helper.make_node("Flatten", ["images"], ["flat"]), helper.make_node("Mul", ["flat", "half"], ["out"])]
    graph = helper.make_graph(
        nodes,
        "halved",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ("n", 1, 14, 14))],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ("n", 196))],
        [onnx.numpy_helper.from_array(np.float32([0.5]), "half")],
    )
    path = tmp_path / "halved.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())
    return path


@pytest.mark.parametrize(
    ("embedding", "paper"),
    [("bigan", "donahue2017bigan"), ("infogan", "chen2016infogan"), ("deepcluster", "caron2018deepcluster")],
)
def test_a_learned_embedding_leaves_its_picture_and_its_paper(umeta, source, tmp_path, embedding, paper):
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, "--embedding", embedding, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["steps"] == {"embedding": 2, "meta_train": 2}
    assert paper in answer.json["papers"] and "berthelot2018acai" not in answer.json["papers"]
    assert answer.json["encoder"] is None
    assert (tmp_path / "run" / "embedding.png").stat().st_size > 1000
    rows = (tmp_path / "run" / "metrics.csv").read_text()
    assert "embedding,2," in rows
    assert paper.split("20")[0] in umeta("cite", tmp_path / "run").out


def test_maml_on_clusters_of_deepcluster(umeta, source, tmp_path):
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, "--recipe", "cactus-maml", "--embedding", "deepcluster", "--json")
    assert answer.code == 0, answer.err


def test_prototypes_on_an_encoder_of_others_from_learning_to_prediction(umeta, make, source, onnx_file, tmp_path):
    run = tmp_path / "run"
    answer = umeta(
        *("learn", source, "--out", run, "--recipe", "encoder-prototypes", "--embedding", onnx_file, "--image-size", 14),
        *("--encoder-labels", "digits, 60 000", "--steps", 1),
    )
    assert answer.code == 0, answer.err
    assert "the encoder onnx:halved.onnx was trained by others; labels it has seen: digits, 60 000" in answer.out
    assert (run / "embedding.png").is_file() and not (run / "tasks.png").exists()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["encoder"]["labels"] == "digits, 60 000"
    assert (manifest["steps"], manifest["agreement"], manifest["plan"]["n_way"]) == ({}, None, 0)
    onnx_file.unlink()  # the run carries it

    answer = umeta("evaluate", run, "--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 20, "--baselines", "--json")
    assert answer.code == 0, answer.err
    labels = {row["method"]: row["encoder_labels"] for row in answer.json["results"]}
    assert labels["encoder-prototypes"] == labels["outside knn"] == "digits, 60 000"
    assert labels["pixels knn"] == labels["from scratch"] == ""
    accuracy = {row["method"]: row["accuracy"] for row in answer.json["results"]}
    assert accuracy["encoder-prototypes"] > 0.4
    table = umeta("evaluate", run, "--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 20).out
    assert "0, encoder: digits, 60 000" in table

    for label in "ab":
        make.folder(tmp_path / "support" / label, 2, seed=ord(label))
    assert umeta("adapt", run, "--support", tmp_path / "support", "--out", tmp_path / "clf").code == 0
    image = next((tmp_path / "support" / "a").rglob("*.png"))
    answer = umeta("predict", tmp_path / "clf", image, "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json["predictions"][0]["probabilities"]) == {"a", "b"}


def test_cactus_on_a_model_of_transformers_says_not_stated(umeta, source, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.Dinov2Model(transformers.Dinov2Config(**sizes, image_size=28, patch_size=14)).save_pretrained(tmp_path / "dinov2")
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, "--embedding", f"hf:{tmp_path / 'dinov2'}", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["encoder"]["labels"] == "not stated"
    assert answer.json["encoder"]["name"] == f"hf:{tmp_path / 'dinov2'}"
    assert answer.json["steps"] == {"meta_train": 2}


@pytest.mark.parametrize(("recipe", "head"), [("cactus-protonets", "center"), ("cactus-maml", "gradient")])
def test_practice_on_an_encoder_of_others_from_learning_to_prediction(umeta, make, source, onnx_file, tmp_path, recipe, head):
    run = tmp_path / "run"
    learn = ("learn", source, "--out", run, *QUICK, "--recipe", recipe, "--embedding", onnx_file, "--on", "embedding", "--width", 8)
    answer = umeta(*learn, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["steps"] == {"meta_train": 2} and answer.json["plan"]["augment"] == "none"
    assert (run / "tasks.png").is_file() and (run / "embedding.png").is_file()
    onnx_file.unlink()  # the run carries it

    answer = umeta("evaluate", run, "--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 20, "--head", head, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["results"][0]["accuracy"] > 0.3
    for label in "ab":
        make.folder(tmp_path / "support" / label, 2, seed=ord(label))
    assert umeta("adapt", run, "--support", tmp_path / "support", "--reject", 0.2, "--out", tmp_path / "clf").code == (
        0 if recipe == "cactus-protonets" else 2
    )
    assert umeta("adapt", run, "--support", tmp_path / "support", "--out", tmp_path / "clf", "--overwrite").code == 0
    assert sum(file.stat().st_size for file in (tmp_path / "clf").iterdir()) < 20_000  # the encoder stays in the run
    images = sorted((tmp_path / "support").rglob("*.*"))
    answer = umeta("predict", tmp_path / "clf", *images, "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json["predictions"][0]["probabilities"]) == {"a", "b"}
    answer = umeta("suggest", run, "--images", tmp_path / "support", "--n", 2, "--json")
    assert answer.code == 0, answer.err
    assert umeta("report", run, "--out", tmp_path / "report.html").code == 0


def test_views_on_an_embedding_are_embedded_at_every_step(umeta, source, tmp_path):
    flags = ("--on", "embedding", "--embedding", "contrast", "--augment", "affine")
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, *flags, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["plan"]["augment"] == "affine"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--on", "embedding"), "--on embedding is for recipes that cluster an embedding; default has none"),
        (("--recipe", "cactus-maml", "--on", "embedding", "--net", "resnet12"), "leave out --net and --normalization"),
        (("--recipe", "cactus-protonets", "--encoder-labels", "none"), "--encoder-labels is for encoders that others trained"),
        (("--recipe", "encoder-prototypes", "--clusters", 5), "--clusters is for recipes that cluster an embedding"),
        (("--recipe", "cactus-protonets", "--embedding", "onnx:absent.onnx"), "there is no ONNX file absent.onnx"),
    ],
)
def test_flags_that_do_not_fit(umeta, source, tmp_path, flags, message):
    answer = umeta("learn", source, "--out", tmp_path / "run", *flags, "--steps", 1)
    assert answer.code == 2
    assert message in answer.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("flags", [("--recipe", "encoder-prototypes"), ("--recipe", "cactus-maml", "--on", "embedding")])
def test_a_matrix_without_an_encoder_is_no_procedure(umeta, source, tmp_path, flags):
    np.savez(tmp_path / "z.npz", embedding=np.random.default_rng(0).normal(size=(240, 4)))
    answer = umeta("learn", source, "--out", tmp_path / "run", *flags, "--embedding", tmp_path / "z.npz", "--steps", 1)
    assert answer.code == 2
    assert "is a matrix without an encoder" in answer.error
    assert not (tmp_path / "run").exists()
