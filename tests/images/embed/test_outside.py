"""Encoders that others trained: what they are fed, what is taken from them, that they come back as they were, and clear refusals."""

import copy
import sys

import numpy as np
import onnx
import pytest
import torch
import transformers

from umeta.core.errors import ArtifactError, InputError
from umeta.images.embed.embedding import Embedding
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.outside import Intake, Network, OutsideEncoder, is_outside
from umeta.images.learners.heads import Prototypes
from umeta.images.learners.protonets import PrototypeProcedure


def write_onnx(path, *, shape=("n", 3, 8, 8), metadata=None, dim=5):
    """Write a network that averages each channel over places and multiplies by a matrix of 0, 1, 2, ..."""
    helper = onnx.helper
    channels = shape[1]
    weight = np.arange(channels * dim, dtype=np.float32).reshape(channels, dim)
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, (shape[0], dim))],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    return weight


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    """The folder of a tiny Dinov2 with random weights."""
    folder = tmp_path_factory.mktemp("dinov2")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.Dinov2Config(**sizes, image_size=28, patch_size=14)
    state = torch.get_rng_state()
    transformers.Dinov2Model(config).save_pretrained(folder)
    torch.set_rng_state(state)
    return folder


def test_gray_becomes_color_and_color_gray_at_the_wanted_size():
    gray = torch.full((2, 1, 4, 4), 0.5)
    seen = Intake(3, 8, (0.5, 0.0, 0.25), (1.0, 2.0, 0.5))(gray)
    assert seen.shape == (2, 3, 8, 8)
    torch.testing.assert_close(seen[0, :, 3, 3], torch.tensor([0.0, 0.25, 0.5]))
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    torch.testing.assert_close(Intake(1, 4, (0.0,), (1.0,))(red), torch.full((1, 1, 4, 4), 0.299))


@pytest.mark.parametrize(("output", "expected"), [((3, 4), 1.0), ((3, 7, 4), 0.0), ((3, 4, 2, 2), 1.0)])
def test_vectors_are_taken_from_vectors_tokens_and_maps(output, expected):
    def run(images):
        out = torch.ones(output)
        if len(output) == 3:
            out[:, 0] = 0  # the first token
        return out

    encoder = OutsideEncoder("onnx:x", "none", Network(Intake(1, 4, (0.0,), (1.0,)), run, ""))
    assert torch.equal(encoder(torch.zeros(3, 1, 4, 4)), torch.full((3, 4), expected))


def test_an_onnx_file_is_run_as_it_is_written(tmp_path):
    weight = write_onnx(tmp_path / "tiny.onnx", metadata={"image_mean": "0,0,0", "image_std": "1,1,2"})
    encoder = OutsideEncoder.open(str(tmp_path / "tiny.onnx"), "none")
    images = torch.rand(70, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    means = images.mean((2, 3)) / torch.tensor([1.0, 1.0, 2.0])
    torch.testing.assert_close(encoder(images), means @ torch.from_numpy(weight))
    assert encoder.name == "onnx:tiny.onnx"


def test_an_onnx_file_of_one_gray_image_at_a_time(tmp_path):
    weight = write_onnx(tmp_path / "one.onnx", shape=(1, 1, 8, 8))
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    vectors = OutsideEncoder.open(f"onnx:{tmp_path / 'one.onnx'}")(images)
    torch.testing.assert_close(vectors, images.mean((2, 3)) @ torch.from_numpy(weight))


def test_a_run_carries_the_onnx_file(tmp_path):
    path = tmp_path / "tiny.onnx"
    write_onnx(path)
    encoder = OutsideEncoder.open(str(path), "ImageNet-1k, 1.3 million")
    images = np.random.default_rng(0).integers(0, 255, (6, 3, 8, 8)).astype(np.uint8)
    matrix = embed_all(encoder, images)
    Embedding(matrix, "abc", "outside", encoder).write(tmp_path / "embedding")
    path.unlink()
    again = Embedding.read(tmp_path / "embedding", "abc").encoder
    assert again.labels == "ImageNet-1k, 1.3 million"
    assert torch.equal(embed_all(again, images), matrix)
    elsewhere = copy.copy(again)  # as it is taken to another process
    assert elsewhere.network is not again.network
    assert torch.equal(embed_all(elsewhere, images), matrix)


def test_a_model_of_transformers_gives_its_own_pooled_output(dinov2, tmp_path):
    encoder = OutsideEncoder.open(f"hf:{dinov2}", "none")
    images = torch.rand(5, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    net = transformers.AutoModel.from_pretrained(dinov2).eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        expected = net(pixel_values=(images - mean) / std).pooler_output
    torch.testing.assert_close(encoder(images), expected)
    assert encoder.network.intake.side == 28
    Embedding(encoder(images), "abc", "outside", encoder).write(tmp_path / "embedding")
    again = Embedding.read(tmp_path / "embedding").encoder
    assert torch.equal(again(images), encoder(images))


def test_the_image_processor_of_a_model_is_heard(dinov2, tmp_path):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(dinov2, folder)
    (folder / "preprocessor_config.json").write_text(
        '{"crop_size": {"height": 14, "width": 14}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1.0]}'
    )
    intake = OutsideEncoder.open(f"hf:{folder}").network.intake
    assert intake == Intake(3, 14, (0.5, 0.5, 0.5), (0.25, 0.5, 1.0))


def test_another_model_under_the_same_name_is_refused(dinov2):
    encoder = OutsideEncoder.open(f"hf:{dinov2}")
    info = encoder.describe()
    assert OutsideEncoder.restore(info, {}).network.sha256 == info["sha256"]
    with pytest.raises(ArtifactError, match="has changed since this run was made"):
        OutsideEncoder.restore(info | {"sha256": "0" * 64}, {})


def test_a_procedure_ships_with_its_encoder(tmp_path, rng, tiny_tasks):
    write_onnx(tmp_path / "gray.onnx", shape=("n", 1, 28, 28))
    procedure = PrototypeProcedure(OutsideEncoder.open(str(tmp_path / "gray.onnx")), Prototypes())
    again = PrototypeProcedure.restore(procedure.describe(), procedure.tensors())
    batch = tiny_tasks.sample_batch(rng, 2)
    assert torch.equal(again.logits(batch, rng), procedure.logits(batch, rng))


def test_names():
    assert [is_outside(name) for name in ("hf:a/b", "onnx:x", "x.onnx", "acai", "x.npz")] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "there is no ONNX file"),
        (lambda path: path.write_bytes(b"not a network"), "is no ONNX file that can be run"),
        (lambda path: write_onnx(path, shape=("n", 4, 8, 8)), r"takes images tensor\(float\) \['n', 4, 8, 8\]; an encoder takes"),
        (lambda path: write_onnx(path, metadata={"image_mean": "a"}), "must be numbers with commas between"),
        (lambda path: write_onnx(path, metadata={"image_std": "1,1"}), "must have 3 numbers"),
        (lambda path: write_onnx(path, metadata={"image_std": "1,0,1"}), "no deviation of 0"),
    ],
)
def test_files_that_are_no_encoders(tmp_path, write, message):
    write(tmp_path / "x.onnx")
    with pytest.raises(InputError, match=message):
        OutsideEncoder.open(str(tmp_path / "x.onnx"))


def test_models_that_are_no_encoders(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        OutsideEncoder.open(f"hf:{tmp_path}")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 11}
    transformers.BertModel(transformers.BertConfig(**sizes)).save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match="takes input_ids, not images"):
        OutsideEncoder.open(f"hf:{tmp_path / 'bert'}")


@pytest.mark.parametrize(("library", "extra", "name"), [("transformers", "hf", "hf:x"), ("onnxruntime", "onnx", "x.onnx")])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, library, extra, name):
    write_onnx(tmp_path / "x.onnx")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"pip install 'umeta\[{extra}\]'"):
        OutsideEncoder.open(name if extra == "hf" else str(tmp_path / name))


def test_numbers_that_are_none_are_refused():
    encoder = OutsideEncoder("onnx:x", "none", Network(Intake(1, 4, (0.0,), (1.0,)), lambda images: images.flatten(1) / 0, ""))
    with pytest.raises(InputError, match="onnx:x gives NaN or infinite"):
        encoder(torch.zeros(1, 1, 4, 4))
