"""Knows every setting of a run on images, and which contradict each other."""

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
            is "pool", or "stem" where the budget is short. In budgets under six hours images of 64 pixels or more take "coarse" all the
            same.
        proposal: "instances": every image a class; "clusters" of an embedding; "truth": the labels of a benchmark, for a supervised
            oracle; or "none", where nobody practices.
        embedding: "acai", "bigan", "infogan", "deepcluster" or "vae"; "pixels", contrast-normalized and whitened; "contrast", not
            whitened; the path of an `.npz`; the path of another run whose embedding, or without one whose network, is used; or a network
            that others trained: "hf:NAME", "hf:FOLDER", "onnx:FILE" or the path of an `.onnx`.
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
        lr: The first learning rate of practice, of MAML's outer loop.
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
        start: Where practice begins (ProtoNets and MAML): at "random" weights, or at those of the network of the "embedding", whose form it
            then has.
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
    start: Literal["random", "embedding"] = "random"
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
        if self.start == "embedding" and (on_embedding or self.proposal != "clusters" or self.learner not in ("protonets", "maml")):
            raise InputError(
                f"--start embedding is for recipes that practice on images of clusters; {self.name}"
                f"{' with --on embedding' if on_embedding else ''} does not, give --recipe cactus-pairs, say"
            )
        if self.start == "embedding" and (self.net != "conv4" or self.normalization != "batch" or self.width):
            raise InputError("--start embedding has the network of the embedding; leave out --net, --normalization and --width")
        return replace(self, augment=self.augment or ("none" if on_embedding else "affine"))
