"""Images per second from a folder of JPEGs to cached uint8 and on to embeddings, against a torch DataLoader with Pillow; one thread.

usage: python benchmarks/embedding.py [--images 1000] [--side 256] [--size 32] [--rounds 3]

Both decode the same files to squares of the same size by the same filter, and embed them by the same Conv4 of 64 filters, in batches of
512. Ours also hashes every image at full resolution, to find duplicates, and writes the cache, which later runs read in place of the
files; the peer decodes in every pass anew. The two take turns, and the best round of each counts. Beside them the limits: Pillow decoding
alone; and the multiplications of the network over the rate at which this machine multiplies matrices.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from umeta.core.rng import Rng
from umeta.images.cache import build_cache
from umeta.images.embed.encoder import embed_all
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.source import open_source

BATCH = 512


class Files(Dataset):
    """JPEGs as one would read them for a DataLoader: decoded, cut to the middle square, resized."""

    def __init__(self, folder: Path, size: int) -> None:
        self.paths, self.size = sorted(folder.glob("*.jpg")), size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as image:
            color = image.convert("RGB")
        side = min(color.size)
        left, top = (color.width - side) // 2, (color.height - side) // 2
        square = color.crop((left, top, left + side, top + side)).resize((self.size, self.size), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def write_jpegs(folder: Path, n: int, side: int) -> None:
    """Write smooth color patterns, which compress about as photos do."""
    generator = Rng.from_seed(0).numpy()
    for index in range(n):
        coarse = Image.fromarray(generator.integers(256, size=(side // 8, side // 8, 3), dtype=np.uint8))
        coarse.resize((side + side // 4, side), Image.Resampling.BICUBIC).save(folder / f"{index:06}.jpg", quality=90)


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the processor time of a call; of one thread, so that others on the machine do not count."""
    began = time.process_time()
    run()
    return time.process_time() - began


def operations(encoder: Conv4, images: torch.Tensor) -> int:
    """Return multiplications and additions of one pass."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(images)
    return counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=256, help="height of a JPEG; it is a quarter wider")
    parser.add_argument("--size", type=int, default=32, help="side to which it is brought")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    n = given.images
    encoder = Conv4(Conv4Config(3, given.size, 64), Rng.from_seed(0).torch()).eval()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "photos"
        folder.mkdir()
        write_jpegs(folder, n, given.side)
        peer = Files(folder, given.size)

        def cache(number: int = 0) -> np.ndarray:
            return build_cache(open_source(folder), Path(made) / f"cache-{number}", image_size=given.size, channels=3, n_workers=1).images

        def loaded() -> list[torch.Tensor]:
            return list(DataLoader(peer, batch_size=BATCH))

        @torch.no_grad()
        def embedded(batches: list[torch.Tensor]) -> list[torch.Tensor]:
            return [encoder(batch.float() / 255) for batch in batches]

        def decoded() -> None:
            for path in peer.paths:
                with Image.open(path) as image:
                    image.load()

        cached, tensors = cache(), torch.cat(loaded())
        off = float((torch.from_numpy(np.array(cached)).int() - tensors.int()).abs().max())
        took: dict[str, list[float]] = {}
        for number in range(1, given.rounds + 1):
            kinds: dict[str, Callable[[], object]] = {
                "umeta, files to cache": lambda number=number: cache(number),
                "umeta, cache to embeddings": lambda: embed_all(encoder, cached, batch_size=BATCH),
                "DataLoader, files to uint8": loaded,
                "DataLoader, files to embeddings": lambda: embedded(loaded()),
                "limit: Pillow decodes": decoded,
            }
            for name, run in kinds.items():
                took.setdefault(name, []).append(cpu_seconds(run))
        batch = torch.zeros(BATCH, 3, given.size, given.size)
        work = operations(encoder, batch) / BATCH
        a = torch.ones(1024, 1024)
        matrix_rate = 2 * 1024**3 / min(cpu_seconds(lambda: a @ a) for _ in range(5))
    best = {name: min(values) for name, values in took.items()}
    per_s = {name: n / seconds for name, seconds in best.items()}
    both = best["umeta, files to cache"] + best["umeta, cache to embeddings"]
    per_s["umeta, files to embeddings"] = n / both
    per_s["limit: matrix products of the network"] = matrix_rate / work
    ratios = {
        "files to uint8, umeta / DataLoader": per_s["umeta, files to cache"] / per_s["DataLoader, files to uint8"],
        "files to embeddings, umeta / DataLoader": per_s["umeta, files to embeddings"] / per_s["DataLoader, files to embeddings"],
        "a second pass, umeta / DataLoader": per_s["umeta, cache to embeddings"] / per_s["DataLoader, files to embeddings"],
        "files to cache / limit": per_s["umeta, files to cache"] / per_s["limit: Pillow decodes"],
        "cache to embeddings / limit": per_s["umeta, cache to embeddings"] / per_s["limit: matrix products of the network"],
    }
    print(f"{n} JPEGs of {given.side + given.side // 4} x {given.side} to {given.size} x {given.size}; pixels differ by at most {off:.0f}")
    for name, value in per_s.items():
        print(f"{name:40} {value:12,.0f} images/s")
    for name, value in ratios.items():
        print(f"{name:40} {value:12.2f}")
    print(json.dumps({"benchmark": "embedding", "images": n, "per_s": per_s, "ratios": ratios}))


if __name__ == "__main__":
    main()
