"""Knows the papers that a run stands on, as BibTeX; the entries are read from one data file, `papers.bib`."""

import re
from pathlib import Path

from umeta.artifacts.artifact import read_json
from umeta.images.embed.learned import LearnedEncoder
from umeta.recipes.request import Request

ENTRY = re.compile(r"^@\w+\{(\w+),.*?^\}", re.DOTALL | re.MULTILINE)
BIBTEX = {found[1]: found[0] for found in ENTRY.finditer(Path(__file__).with_suffix(".bib").read_text(encoding="utf-8"))}

EMBEDDING = {
    "acai": "berthelot2018acai",
    "bigan": "donahue2017bigan",
    "contrast": "coates2012kmeans",
    "deepcluster": "caron2018deepcluster",
    "infogan": "chen2016infogan",
    "pixels": "coates2012kmeans",
    "vae": "kingma2014vae",
}

DATA = {
    "celeba": ["liu2015celeba"],
    "mini-imagenet": ["vinyals2016matching", "ravi2017optimization"],
    "mnist": ["lecun1998mnist"],
    "omniglot": ["lake2015omniglot"],
}


def short_citation(key: str) -> str:
    """Return how a paper is named in passing: its first author and the year.

    Example:
        >>> short_citation("hsu2019cactus")
        'Hsu 2019'
    """
    found = re.search(r"author\s*= {(\w+),.*year\s*= {(\d+)}", BIBTEX[key], re.DOTALL)
    assert found is not None, "every entry has authors and a year"
    return " ".join(found.groups())


def papers_used(request: Request, embedding: str | None) -> list[str]:
    """Return the keys of the papers that a run used.

    They are those of its recipe that it took up, its network's, its clustering's and its data's, and where it clusters what an earlier run
    has learned, that run's.

    Args:
        request: What was learned, from what.
        embedding: The method that made the embedding; None if there is none.
    """
    recipe = request.recipe
    keys = [key for key in recipe.papers if key not in EMBEDDING.values()]
    keys += [EMBEDDING[embedding]] if embedding in EMBEDDING else []
    keys += ["lee2019metaoptnet"] * (recipe.net == "resnet12")
    keys += ["ye2022unicorn"] * (recipe.start == "embedding" and recipe.learner == "maml")
    clustered = embedding == "deepcluster" or (embedding is not None and recipe.proposal == "clusters" and recipe.partition == "kmeans")
    keys += ["johnson2019faiss"] * clustered + DATA.get(request.source, [])
    earlier = Path(recipe.embedding) / "manifest.json"
    keys += read_json(earlier)["papers"] if embedding == LearnedEncoder.kind and earlier.is_file() else []
    return list(dict.fromkeys(keys))
