"""Ask which way to group an embedding finds images of one class: pairs found, right and missed, by the labels of a benchmark.

usage: python benchmarks/pseudo_labels.py RUN [--source omniglot --protocol cactus]

The learner never sees these numbers; they say why the default recipe takes shared neighbors and not clusters. Written to
docs/results/pseudo-labels.json.
"""

import argparse
import json
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.quality import pair_quality, pairs_of
from umeta.images.embed.encoder import embed_all, quick
from umeta.images.partition.neighbors import nearest, shared_neighbors
from umeta.images.procedure import ImageLearningProcedure

RESULT = Path(__file__).parent.parent / "docs" / "results" / "pseudo-labels.json"


def balanced(similarity: NDArray[np.float32], rounds: int = 30, sharpness: float = 20.0) -> NDArray[np.int64]:
    """Return the cluster of each image after Sinkhorn's scaling has given every cluster the same mass."""
    plan = np.exp(sharpness * (similarity - similarity.max()))
    for _ in range(rounds):
        plan /= plan.sum(0, keepdims=True) * plan.shape[1]
        plan /= plan.sum(1, keepdims=True) * plan.shape[0]
    return plan.argmax(1)


def stability(points: NDArray[np.float32], k: int, n_seeds: int = 2) -> float:
    """Return how well clusterings from different seeds agree (adjusted Rand index): the label-free choice of k."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*(clustered(points, k, seed)[0] for seed in range(n_seeds))))


def clustered(points: NDArray[np.float32], k: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return spherical k-means' clusters, and the cosine of each image with each center."""
    kmeans = faiss.Kmeans(points.shape[1], k, niter=15, spherical=True, seed=seed, min_points_per_centroid=1, max_points_per_centroid=100)
    kmeans.train(points)
    similarity = points @ kmeans.centroids.T
    return similarity.argmax(1), similarity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--source", default="omniglot")
    parser.add_argument("--protocol", default="cactus")
    given = parser.parse_args()
    shipped = ImageLearningProcedure.load(given.run)
    labeled = get_benchmark(given.source).split(given.protocol, "meta_train")
    embedding = embed_all(quick(shipped.procedure.encoder), shipped.preparation.pool(labeled.images))
    points = (embedding / embedding.norm(dim=1, keepdim=True)).numpy()
    truth, rows = pairs_of(labeled.labels), []

    def add(name: str, found: csr_array, **more: float) -> None:
        rows.append({"way": name, **pair_quality(found, truth), **more})
        print(json.dumps(rows[-1]), flush=True)

    near = nearest(embedding, 20)
    n = len(near)
    for k in (5, 10):
        sided = csr_array((np.ones(n * k), near[:, :k].ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
        add(f"{k} nearest", sided)
        add(f"{k} nearest, reciprocal", sided * sided.T)
    for k in (8, 16, 20):
        alike = shared_neighbors(near[:, :k])
        for least in (0.2, 0.3, 0.4):
            add(f"shared neighbors of {k}, at least {least}", csr_array(alike * (alike >= least)))
    for k in (n // 40, n // 20, n // 10):
        labels, similarity = clustered(points, k)
        add(f"k-means, k = {k}", pairs_of(labels), stability=round(stability(points, k), 4))
        best = np.sort(similarity, axis=1)
        doubtful = best[:, -1] - best[:, -2] < np.quantile(best[:, -1] - best[:, -2], 0.4)
        add(f"k-means, k = {k}, two fifths dropped as doubtful", pairs_of(np.where(doubtful, -1, labels)))
        add(f"k-means, k = {k}, balanced", pairs_of(balanced(similarity)))
    command = f"python benchmarks/pseudo_labels.py RUN --source {given.source} --protocol {given.protocol}"
    manifest = json.loads((given.run / "manifest.json").read_text())
    learned = {key: manifest[key] for key in ("recipe", "seed", "elapsed_s", "agreement")}
    RESULT.write_text(json.dumps({"command": command, "learned": learned, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
