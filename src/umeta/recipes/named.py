"""Knows which complete runs on images have a name."""

import difflib
from collections.abc import Callable
from dataclasses import replace

from umeta.core.errors import InputError
from umeta.functional.prototypes import Metric
from umeta.recipes.recipe import Recipe


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


def cactus_pairs() -> Recipe:
    """CACTUs with ProtoNets by the cosine in which every image of a task is a query, and every other one a 1-shot prototype."""
    return replace(
        cactus_protonets(),
        name="cactus-pairs",
        summary="CACTUs by the cosine: every two images of a task compared, which learns in fewer steps",
        papers=("hsu2019cactus", "berthelot2018acai", "snell2017protonets", "khosla2020supcon"),
        downsample="auto",
        n_query=9,
        metric=Metric("cosine", 0.1),
        objective="pairs",
        signed=True,
        n_splits=1,
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
    "cactus-pairs": cactus_pairs,
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
