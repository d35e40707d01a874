"""Knows which complete runs have a name, and every setting of each."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from umeta.core.errors import InputError
from umeta.functional.prototypes import Metric
from umeta.images.embed.outside import NOT_STATED
from umeta.images.nets.conv4 import Normalization


@dataclass(frozen=True)
class Recipe:
    """A complete run: where tasks come from, who learns, and for how long each part works.

    Attributes:
        name: What it is called.
        summary: One line for `umeta recipes`.
        papers: Keys in `papers.BIBTEX`.
        learner: Who practices; "in-context" are ProtoNets whose network, once trained, is frozen under a transformer that practices next;
            "encoder" does not practice: prototypes on the encoder of the embedding.
        downsample: Of a ProtoNets' Conv4: "pool" as published, "stem" or "stride", several times faster and a little less accurate; "auto"
            is "pool", or "stem" where the budget is short.
        proposal: "instances": every image a class; "clusters" of an embedding; "truth": the labels of a benchmark, for a supervised
            oracle; or "none", where nobody practices.
        embedding: "acai", "bigan", "infogan", "deepcluster" or "vae"; "pixels", contrast-normalized and whitened; "contrast", not
            whitened; the path of an `.npz`; the path of another run whose embedding is used again; or a network that others trained:
            "hf:NAME", "hf:FOLDER", "onnx:FILE" or the path of an `.onnx`.
        encoder_labels: What labels such a network has seen, in the words of who gives it.
        partition: How an embedding is cut into clusters: "kmeans", "hyperplanes", or "random" labels, which need no embedding.
        n_clusters: k of k-means and of random labels, fewer where the pool is small; of several numbers each partition takes the next.
        margin: Of hyperplanes, in standard deviations; images nearer to one are in no cluster.
        labeled_share: Share of tasks drawn from the true classes of a benchmark instead of clusters; above 0 makes a run semi-supervised.
        n_partitions: Clusterings; with a budget, as many as fit into a sixth of it.
        n_way: Classes per practice task.
        k_shot: Support images per class.
        n_query: Query images per class.
        meta_batch_size: Tasks per step.
        augment: How views of practice images are made: a key of `VIEWS`, "latent-noise" or "latent-mix" to draw them from near the codes
            of a VAE, "none" to leave them as they are, or "auto": "drawings" or "photos", by the images. None takes "affine", and "none"
            where vectors of an embedding are practiced on.
        metric: In which geometry ProtoNets' classes are points.
        objective: Of ProtoNets; see there.
        signed: Whether the network's last block neither rectifies nor pools, which suits cosines.
        lr: The first learning rate of ProtoNets and PsCo.
        weight_decay: Of ProtoNets and PsCo.
        average: Share that ProtoNets' exported average of weights keeps at each step; 0 for none.
        n_splits: Episodes made from each embedded one (ProtoNets); 1 as published.
        n_rounds: How often, after practice on instances alone, the images are embedded anew and practice goes on with neighbors as views.
        n_neighbors: Nearest neighbors that are looked at in a round.
        least_shared: Images stand in for each other whose neighborhoods are alike at least so much; see `shared_neighbors`.
        rounds_share: Share of a time budget for all rounds.
        first_order: Whether the inner loop leaves out second derivatives (MAML).
        adapts: What the inner loop moves (MAML): "all" weights, or the "head" alone, as ANIL does.
        head_start: Where a task's head starts (MAML): "learned" weights, or the "prototypes" of its support set, as in ProtoMAML.
        learn_rates: Whether every adapted number has a step size of its own that is meta-learned, as in Meta-SGD (MAML).
        net: "conv4", or "resnet12" for color (ProtoNets and MAML).
        practice_on: What ProtoNets and MAML see: "images", or vectors of the "embedding", whose frozen encoder becomes part of the
            procedure; their network is then an MLP of two layers. Views of images, if `augment` asks for any, are embedded at every step.
        width: Filters of the network's first block; None takes 64, and 32 in MAML's Conv4. A ResNet-12 widens by 2.5, 5 and 10. Of an
            MLP the units of each layer; None takes 128, and 64 in MAML's.
        normalization: Of a Conv4 (ProtoNets and MAML): "batch", "layer" or "none".
        norm: Normalization of queries: "stored" statistics (inductive) or those of the "batch" (transductive; MAML only).
        embedding_share: Share of a time budget for training the embedding.
        head_share: Share of a time budget for the head of an in-context learner.
        turns: Whether quarter turns of drawings are classes of their own ("instances").
        clean_support: Whether the support shows images themselves, not views of them ("instances").
        n_each: Images that share a class's label, at random ("instances").
        image_size: Side in pixels; None lets the source decide.
    """

    name: str
    summary: str
    papers: tuple[str, ...]
    learner: Literal["protonets", "maml", "psco", "in-context", "encoder"]
    downsample: Literal["pool", "stem", "stride", "auto"] = "pool"
    proposal: Literal["instances", "clusters", "truth", "none"] = "clusters"
    embedding: str = "acai"
    encoder_labels: str = NOT_STATED
    partition: Literal["kmeans", "hyperplanes", "random"] = "kmeans"
    n_clusters: int | tuple[int, ...] = 500
    margin: float = 0.3
    labeled_share: float = 0.0
    n_partitions: int = 100
    n_way: int = 20
    k_shot: int = 1
    n_query: int = 15
    meta_batch_size: int = 1
    augment: Literal["affine", "drawings", "photos", "shifts", "latent-noise", "latent-mix", "none", "auto"] | None = None
    metric: Metric = field(default_factory=Metric)
    objective: Literal["episode", "pairs"] = "episode"
    signed: bool = False
    lr: float = 1e-3
    weight_decay: float = 0.0
    average: float = 0.0
    n_splits: int = 8
    n_rounds: int = 0
    n_neighbors: int = 16
    least_shared: float = 0.3
    rounds_share: float = 0.75
    first_order: bool = False
    adapts: Literal["all", "head"] = "all"
    head_start: Literal["learned", "prototypes"] = "learned"
    learn_rates: bool = False
    net: Literal["conv4", "resnet12"] = "conv4"
    practice_on: Literal["images", "embedding"] = "images"
    width: int | None = None
    normalization: Normalization = "batch"
    norm: Literal["stored", "batch"] = "stored"
    embedding_share: float = 0.5
    head_share: float = 0.3
    turns: bool = True
    clean_support: bool = False
    n_each: int = 1
    image_size: int | None = None

    def settled(self) -> "Recipe":
        """Return the recipe with what follows from its other settings filled in.

        Raises:
            InputError: Two settings contradict each other.
        """
        on_embedding = self.practice_on == "embedding"
        if on_embedding and (self.proposal != "clusters" or self.learner not in ("protonets", "maml")):
            raise InputError(
                f"--on embedding is for recipes that cluster an embedding; {self.name} has none, give --recipe cactus-protonets, say"
            )
        if on_embedding and (self.net != "conv4" or self.normalization != "batch"):
            raise InputError("--on embedding practices an MLP on vectors; leave out --net and --normalization")
        return replace(self, augment=self.augment or ("none" if on_embedding else "affine"))


def default() -> Recipe:
    """Every image a class: 256-way tasks of two views each by cosine ProtoNets; then rounds in which neighbors stand in for views."""
    return Recipe(
        name="default",
        summary="every image a class, its views the examples; ProtoNets by cosine, then neighbors as views",
        papers=("snell2017protonets", "chen2020simclr", "medina2020prototransfer"),
        learner="protonets",
        downsample="auto",
        proposal="instances",
        n_way=256,
        n_query=1,
        augment="auto",
        metric=Metric("cosine", 0.03),
        objective="pairs",
        signed=True,
        lr=2e-3,
        weight_decay=1e-4,
        average=0.99,
        n_splits=1,
        n_rounds=5,
    )


def protoclr() -> Recipe:
    """ProtoTransfer's ProtoCLR: 50 images as classes, one unchanged support image and three augmented queries of each, Euclidean."""
    return Recipe(
        name="protoclr",
        summary="ProtoCLR: 50 images as classes, a clean support and 3 augmented queries; Euclidean ProtoNets",
        papers=("medina2020prototransfer", "snell2017protonets"),
        learner="protonets",
        downsample="auto",
        proposal="instances",
        n_way=50,
        n_query=3,
        augment="auto",
        n_splits=1,
        turns=False,
        clean_support=True,
    )


def psco() -> Recipe:
    """PsCo: batches of 256 images, a momentum network, and shots that optimal transport finds among past images."""
    return Recipe(
        name="psco",
        summary="PsCo: momentum network, pseudo-tasks from a queue of past images by optimal transport",
        papers=("jang2023psco", "he2020moco", "cuturi2013sinkhorn"),
        learner="psco",
        downsample="auto",
        proposal="instances",
        n_way=256,
        n_query=1,
        augment="auto",
        lr=2e-3,
        weight_decay=1e-4,
        n_splits=1,
    )


def umtra() -> Recipe:
    """UMTRA: 20 random images as classes, the image itself the support, 3 views of it the queries, and second-order MAML."""
    return Recipe(
        name="umtra",
        summary="UMTRA: every image a class, the image the support, its views the queries; second-order MAML",
        papers=("khodadadeh2019umtra", "finn2017maml"),
        learner="maml",
        proposal="instances",
        n_query=3,
        meta_batch_size=4,
        augment="auto",
        norm="batch",
        turns=False,
        clean_support=True,
    )


def aal_protonets() -> Recipe:
    """AAL with ProtoNets: 20 labels, each given at random to 5 images; the images are the support, a view of each the queries."""
    return Recipe(
        name="aal-protonets",
        summary="AAL: random labels on random images, their views as queries; ProtoNets",
        papers=("antoniou2019aal", "snell2017protonets"),
        learner="protonets",
        downsample="auto",
        proposal="instances",
        k_shot=5,
        n_query=5,
        augment="auto",
        n_splits=1,
        turns=False,
        clean_support=True,
        n_each=5,
    )


def aal_maml() -> Recipe:
    """AAL with second-order MAML: the same tasks, 4 a step (theirs: MAML++)."""
    return replace(
        aal_protonets(),
        name="aal-maml",
        summary="AAL: random labels on random images, their views as queries; second-order MAML",
        papers=("antoniou2019aal", "finn2017maml"),
        learner="maml",
        downsample="pool",
        meta_batch_size=4,
        norm="batch",
    )


def lasium_protonets() -> Recipe:
    """LASIUM with a VAE and ProtoNets: 20 images as classes, all examples drawn from near their codes."""
    return Recipe(
        name="lasium-protonets",
        summary="LASIUM: every image a class, examples drawn from near its code in a VAE; ProtoNets",
        papers=("khodadadeh2021lasium", "kingma2014vae", "snell2017protonets"),
        learner="protonets",
        downsample="auto",
        proposal="instances",
        embedding="vae",
        n_query=5,
        augment="latent-noise",
        n_splits=1,
        embedding_share=0.4,
        turns=False,
    )


def lasium_maml() -> Recipe:
    """LASIUM with a VAE and second-order MAML: the same tasks, 4 a step."""
    return replace(
        lasium_protonets(),
        name="lasium-maml",
        summary="LASIUM: every image a class, examples drawn from near its code in a VAE; second-order MAML",
        papers=("khodadadeh2021lasium", "kingma2014vae", "finn2017maml"),
        learner="maml",
        downsample="pool",
        meta_batch_size=4,
        norm="batch",
    )


def in_context() -> Recipe:
    """The default's practice on instances, then a transformer that reads support sets in the frozen embedding, as CAMeLU's does."""
    return replace(
        default(),
        name="in-context",
        summary="default's instance practice, then a transformer head on the frozen network: no gradient, any way",
        papers=("vettoruzzo2025camelu", "fifty2024caml", "snell2017protonets", "chen2020simclr", "medina2020prototransfer"),
        learner="in-context",
        n_rounds=0,
    )


def cactus_protonets() -> Recipe:
    """CACTUs with ProtoNets: 20-way 1-shot episodes with 15 queries, from 100 partitions of an ACAI embedding into 500 clusters."""
    return Recipe(
        name="cactus-protonets",
        summary="CACTUs: ACAI embedding, k-means under random metrics, ProtoNets",
        papers=("hsu2019cactus", "berthelot2018acai", "snell2017protonets"),
        learner="protonets",
    )


def cactus_maml() -> Recipe:
    """CACTUs with second-order MAML: 8 tasks a step, 20-way 1-shot with 5 queries, 5 inner steps at 0.05 (50 when it is used)."""
    return Recipe(
        name="cactus-maml",
        summary="CACTUs: ACAI embedding, k-means under random metrics, second-order MAML",
        papers=("hsu2019cactus", "berthelot2018acai", "finn2017maml"),
        learner="maml",
        n_query=5,
        meta_batch_size=8,
        norm="batch",
        embedding_share=0.35,
    )


def cactus_anil() -> Recipe:
    """CACTUs with ANIL: MAML whose inner steps move the head alone, at a fraction of the cost."""
    return replace(
        cactus_maml(),
        name="cactus-anil",
        summary="CACTUs with ANIL: only the head is adapted",
        papers=("hsu2019cactus", "berthelot2018acai", "finn2017maml", "raghu2020anil"),
        adapts="head",
    )


def cactus_meta_sgd() -> Recipe:
    """CACTUs with Meta-SGD: MAML with a learned step size for every weight."""
    return replace(
        cactus_maml(),
        name="cactus-meta-sgd",
        summary="CACTUs with Meta-SGD: a learned step size for every weight",
        papers=("hsu2019cactus", "berthelot2018acai", "finn2017maml", "li2017metasgd"),
        learn_rates=True,
    )


def cactus_protomaml() -> Recipe:
    """CACTUs with ProtoMAML: the head of every task starts at the prototypes of its support set."""
    return replace(
        cactus_maml(),
        name="cactus-protomaml",
        summary="CACTUs with ProtoMAML: each head starts at prototypes, any number of classes",
        papers=("hsu2019cactus", "berthelot2018acai", "finn2017maml", "triantafillou2020metadataset"),
        head_start="prototypes",
    )


def semi_protonets() -> Recipe:
    """CACTUs' semi-supervised mode: half of the tasks are made of clusters, half of the true classes of a benchmark."""
    return replace(
        cactus_protonets(),
        name="semi-protonets",
        summary="semi-supervised CACTUs: tasks from clusters and, for a share, from true classes (benchmarks only)",
        labeled_share=0.5,
    )


def encoder_prototypes() -> Recipe:
    """No practice: prototypes by the cosine on a frozen encoder, around the mean of the pool's images (SimpleShot)."""
    return Recipe(
        name="encoder-prototypes",
        summary="no practice: prototypes on a frozen encoder, such as one that others trained (--embedding hf:..., onnx:...)",
        papers=("snell2017protonets", "wang2019simpleshot"),
        learner="encoder",
        proposal="none",
        embedding="deepcluster",
        embedding_share=0.9,
    )


def oracle_protonets() -> Recipe:
    """ProtoNets on the true classes of a benchmark: the supervised bound."""
    return Recipe(
        name="oracle-protonets",
        summary="supervised oracle: ProtoNets on true classes (benchmarks only)",
        papers=("snell2017protonets",),
        learner="protonets",
        proposal="truth",
    )


def oracle_maml() -> Recipe:
    """MAML on the true classes of a benchmark: the supervised bound."""
    return Recipe(
        name="oracle-maml",
        summary="supervised oracle: second-order MAML on true classes (benchmarks only)",
        papers=("finn2017maml",),
        learner="maml",
        proposal="truth",
        n_query=5,
        meta_batch_size=8,
        norm="batch",
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "default": default,
    "protoclr": protoclr,
    "psco": psco,
    "umtra": umtra,
    "aal-protonets": aal_protonets,
    "aal-maml": aal_maml,
    "lasium-protonets": lasium_protonets,
    "lasium-maml": lasium_maml,
    "in-context": in_context,
    "cactus-protonets": cactus_protonets,
    "cactus-maml": cactus_maml,
    "cactus-anil": cactus_anil,
    "cactus-meta-sgd": cactus_meta_sgd,
    "cactus-protomaml": cactus_protomaml,
    "semi-protonets": semi_protonets,
    "encoder-prototypes": encoder_prototypes,
    "oracle-protonets": oracle_protonets,
    "oracle-maml": oracle_maml,
}


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name; raises `InputError` with the nearest names if there is none."""
    if name not in RECIPES:
        from umeta.recipes.control.recipe import CONTROL_RECIPES

        if name in CONTROL_RECIPES:
            raise InputError(f"the recipe {name!r} is for environments; give env:ID as the source, or a recipe for images")
        near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(RECIPES)}"
        raise InputError(f"there is no recipe {name!r}; {hint}")
    return RECIPES[name]()
