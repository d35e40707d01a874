"""What a large run takes, computed from the rates of one core: storage, core hours, hours and cost. Nobody ran it.

    python benchmarks/sizing.py --workers 8 --price 0.05

Rates are those of the largest size in docs/results/growth.json (32 x 32 color images, a Conv4 of 64 filters, 256 dimensions) and
`--step` seconds for a step of practice. Time is taken to grow with the images. Reading, embedding and partitions are spread over all
workers, of one core each, the practice over eight at most; what is sent between machines is not in it.
"""

import argparse
import json
from pathlib import Path

from umeta.images.partition.kmeans import N_STARTS_ALONE

RESULT = Path(__file__).parent.parent / "docs" / "results" / "growth.json"
SIZES = (10**5, 10**6, 10**7, 10**8)
BYTES_OF_IMAGE, BYTES_OF_EMBEDDING, MOST_SHARING = 3 * 32 * 32, 4 * 256, 8


def core_hours(rows: list[dict], n: int) -> dict[str, float]:
    """Return the hours of one core for every stage that each image goes through once."""
    largest = max(row["n_images"] for row in rows)
    return {row["stage"]: row["cpu_seconds"] / 3600 * n / largest for row in rows if row["n_images"] == largest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--price", type=float, default=0.05, help="of a core for an hour")
    parser.add_argument("--partitions", type=int, default=50)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument(
        "--step", type=float, default=0.25, help="core seconds of a step of practice on 512 images, as docs/scale.md has it"
    )
    given = parser.parse_args()
    rows = json.loads(RESULT.read_text())["rows"]
    practice = given.steps * given.step / 3600
    print("| images | cache | embedding | read | embed | cluster | practice | hours of 1 worker | of", given.workers, "| cost |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n in SIZES:
        took = core_hours(rows, n)
        read, embed, cluster = took["cache"], took["embed"], given.partitions * took["partition"] / N_STARTS_ALONE
        whole = read + embed + cluster + practice
        shared = (
            (read + embed) / given.workers + cluster / min(given.workers, given.partitions) + practice / min(given.workers, MOST_SHARING)
        )
        told = [f"{hours:.2g} h" for hours in (read, embed, cluster, practice, whole, shared)]
        print(
            f"| {n:,} |",
            " | ".join(
                [f"{BYTES_OF_IMAGE * n / 1e9:.3g} GB", f"{BYTES_OF_EMBEDDING * n / 1e9:.3g} GB", *told, f"{whole * given.price:.2g}"]
            ),
            "|",
        )


if __name__ == "__main__":
    main()
