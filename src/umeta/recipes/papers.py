"""Knows the papers that a run stands on, as BibTeX."""

from umeta.recipes.request import Request

BIBTEX = {
    "hsu2019cactus": """@inproceedings{hsu2019cactus,
  title     = {Unsupervised Learning via Meta-Learning},
  author    = {Hsu, Kyle and Levine, Sergey and Finn, Chelsea},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  eprint    = {1810.02334},
  archivePrefix = {arXiv}
}""",
    "berthelot2018acai": """@inproceedings{berthelot2018acai,
  title     = {Understanding and Improving Interpolation in Autoencoders via an Adversarial Regularizer},
  author    = {Berthelot, David and Raffel, Colin and Roy, Aurko and Goodfellow, Ian},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  eprint    = {1807.07543},
  archivePrefix = {arXiv}
}""",
    "snell2017protonets": """@inproceedings{snell2017protonets,
  title     = {Prototypical Networks for Few-shot Learning},
  author    = {Snell, Jake and Swersky, Kevin and Zemel, Richard},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017},
  eprint    = {1703.05175},
  archivePrefix = {arXiv}
}""",
    "chen2020simclr": """@inproceedings{chen2020simclr,
  title     = {A Simple Framework for Contrastive Learning of Visual Representations},
  author    = {Chen, Ting and Kornblith, Simon and Norouzi, Mohammad and Hinton, Geoffrey},
  booktitle = {International Conference on Machine Learning},
  year      = {2020},
  note      = {arXiv:2002.05709}
}""",
    "medina2020prototransfer": """@article{medina2020prototransfer,
  title   = {Self-Supervised Prototypical Transfer Learning for Few-Shot Classification},
  author  = {Medina, Carlos and Devos, Arnout and Grossglauser, Matthias},
  journal = {arXiv:2006.11325},
  year    = {2020}
}""",
    "jang2023psco": """@inproceedings{jang2023psco,
  title     = {Unsupervised Meta-learning via Few-shot Pseudo-supervised Contrastive Learning},
  author    = {Jang, Huiwon and Lee, Hankook and Shin, Jinwoo},
  booktitle = {International Conference on Learning Representations},
  year      = {2023},
  eprint    = {2303.00996},
  archivePrefix = {arXiv}
}""",
    "he2020moco": """@inproceedings{he2020moco,
  title     = {Momentum Contrast for Unsupervised Visual Representation Learning},
  author    = {He, Kaiming and Fan, Haoqi and Wu, Yuxin and Xie, Saining and Girshick, Ross},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2020},
  eprint    = {1911.05722},
  archivePrefix = {arXiv}
}""",
    "cuturi2013sinkhorn": """@inproceedings{cuturi2013sinkhorn,
  title     = {Sinkhorn Distances: Lightspeed Computation of Optimal Transport},
  author    = {Cuturi, Marco},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2013},
  eprint    = {1306.0895},
  archivePrefix = {arXiv}
}""",
    "vettoruzzo2025camelu": """@inproceedings{vettoruzzo2025camelu,
  title     = {Unsupervised Meta-Learning via In-Context Learning},
  author    = {Vettoruzzo, Anna and Braccaioli, Lorenzo and Vanschoren, Joaquin and Nowaczyk, Marlena},
  booktitle = {International Conference on Learning Representations},
  year      = {2025},
  eprint    = {2405.16124},
  archivePrefix = {arXiv}
}""",
    "fifty2024caml": """@inproceedings{fifty2024caml,
  title     = {Context-Aware Meta-Learning},
  author    = {Fifty, Christopher and Duan, Dennis and Junkins, Ronald G. and Amid, Ehsan and Leskovec, Jure and R{\\'e}, Christopher
               and Thrun, Sebastian},
  booktitle = {International Conference on Learning Representations},
  year      = {2024},
  eprint    = {2310.10971},
  archivePrefix = {arXiv}
}""",
    "finn2017maml": """@inproceedings{finn2017maml,
  title     = {Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks},
  author    = {Finn, Chelsea and Abbeel, Pieter and Levine, Sergey},
  booktitle = {International Conference on Machine Learning},
  year      = {2017},
  eprint    = {1703.03400},
  archivePrefix = {arXiv}
}""",
    "lake2015omniglot": """@article{lake2015omniglot,
  title   = {Human-level concept learning through probabilistic program induction},
  author  = {Lake, Brenden M. and Salakhutdinov, Ruslan and Tenenbaum, Joshua B.},
  journal = {Science},
  volume  = {350},
  number  = {6266},
  pages   = {1332--1338},
  year    = {2015}
}""",
    "johnson2019faiss": """@article{johnson2019faiss,
  title   = {Billion-scale similarity search with {GPUs}},
  author  = {Johnson, Jeff and Douze, Matthijs and J{\\'e}gou, Herv{\\'e}},
  journal = {IEEE Transactions on Big Data},
  volume  = {7},
  number  = {3},
  pages   = {535--547},
  year    = {2019}
}""",
}


def papers_used(request: Request, embedding: str | None) -> list[str]:
    """Return the keys of the papers that a run used: those of its recipe that it took up, its clustering's and its data's.

    Args:
        request: What was learned, from what.
        embedding: The method that made the embedding; None if there is none.
    """
    keys = [key for key in request.recipe.papers if key != "berthelot2018acai" or embedding == "acai"]
    return keys + ["johnson2019faiss"] * (embedding is not None) + ["lake2015omniglot"] * (request.source == "omniglot")
