"""Knows the papers that a run stands on, as BibTeX."""

import re

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
    "donahue2017bigan": """@inproceedings{donahue2017bigan,
  title     = {Adversarial Feature Learning},
  author    = {Donahue, Jeff and Kr{\\"a}henb{\\"u}hl, Philipp and Darrell, Trevor},
  booktitle = {International Conference on Learning Representations},
  year      = {2017},
  eprint    = {1605.09782},
  archivePrefix = {arXiv}
}""",
    "chen2016infogan": """@inproceedings{chen2016infogan,
  title     = {{InfoGAN}: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets},
  author    = {Chen, Xi and Duan, Yan and Houthooft, Rein and Schulman, John and Sutskever, Ilya and Abbeel, Pieter},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2016},
  eprint    = {1606.03657},
  archivePrefix = {arXiv}
}""",
    "caron2018deepcluster": """@inproceedings{caron2018deepcluster,
  title     = {Deep Clustering for Unsupervised Learning of Visual Features},
  author    = {Caron, Mathilde and Bojanowski, Piotr and Joulin, Armand and Douze, Matthijs},
  booktitle = {European Conference on Computer Vision},
  year      = {2018},
  eprint    = {1807.05520},
  archivePrefix = {arXiv}
}""",
    "coates2012kmeans": """@incollection{coates2012kmeans,
  title     = {Learning Feature Representations with K-Means},
  author    = {Coates, Adam and Ng, Andrew Y.},
  booktitle = {Neural Networks: Tricks of the Trade},
  publisher = {Springer},
  edition   = {2},
  pages     = {561--580},
  year      = {2012}
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
    "khodadadeh2019umtra": """@inproceedings{khodadadeh2019umtra,
  title     = {Unsupervised Meta-Learning for Few-Shot Image Classification},
  author    = {Khodadadeh, Siavash and B{\\"o}l{\\"o}ni, Ladislau and Shah, Mubarak},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019},
  eprint    = {1811.11819},
  archivePrefix = {arXiv}
}""",
    "antoniou2019aal": """@article{antoniou2019aal,
  title   = {Assume, Augment and Learn: Unsupervised Few-Shot Meta-Learning via Random Labels and Data Augmentation},
  author  = {Antoniou, Antreas and Storkey, Amos},
  journal = {arXiv:1902.09884},
  year    = {2019}
}""",
    "khodadadeh2021lasium": """@inproceedings{khodadadeh2021lasium,
  title     = {Unsupervised Meta-Learning through Latent-Space Interpolation in Generative Models},
  author    = {Khodadadeh, Siavash and Zehtabian, Sharare and Vahidian, Saeed and Wang, Weijia and Lin, Bill and
               B{\\"o}l{\\"o}ni, Ladislau},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  eprint    = {2006.10236},
  archivePrefix = {arXiv}
}""",
    "kingma2014vae": """@inproceedings{kingma2014vae,
  title     = {Auto-Encoding Variational {B}ayes},
  author    = {Kingma, Diederik P. and Welling, Max},
  booktitle = {International Conference on Learning Representations},
  year      = {2014},
  eprint    = {1312.6114},
  archivePrefix = {arXiv}
}""",
    "raghu2020anil": """@inproceedings{raghu2020anil,
  title     = {Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of {MAML}},
  author    = {Raghu, Aniruddh and Raghu, Maithra and Bengio, Samy and Vinyals, Oriol},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  eprint    = {1909.09157},
  archivePrefix = {arXiv}
}""",
    "li2017metasgd": """@article{li2017metasgd,
  title   = {Meta-{SGD}: Learning to Learn Quickly for Few-Shot Learning},
  author  = {Li, Zhenguo and Zhou, Fengwei and Chen, Fei and Li, Hang},
  journal = {arXiv:1707.09835},
  year    = {2017}
}""",
    "triantafillou2020metadataset": """@inproceedings{triantafillou2020metadataset,
  title     = {Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few Examples},
  author    = {Triantafillou, Eleni and Zhu, Tyler and Dumoulin, Vincent and Lamblin, Pascal and Evci, Utku and Xu, Kelvin and
               Goroshin, Ross and Gelada, Carles and Swersky, Kevin and Manzagol, Pierre-Antoine and Larochelle, Hugo},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  eprint    = {1903.03096},
  archivePrefix = {arXiv}
}""",
    "wang2019simpleshot": """@article{wang2019simpleshot,
  title   = {SimpleShot: Revisiting Nearest-Neighbor Classification for Few-Shot Learning},
  author  = {Wang, Yan and Chao, Wei-Lun and Weinberger, Kilian Q. and van der Maaten, Laurens},
  journal = {arXiv:1911.04623},
  year    = {2019}
}""",
    "lee2019metaoptnet": """@inproceedings{lee2019metaoptnet,
  title     = {Meta-Learning with Differentiable Convex Optimization},
  author    = {Lee, Kwonjoon and Maji, Subhransu and Ravichandran, Avinash and Soatto, Stefano},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2019},
  eprint    = {1904.03758},
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
    "vinyals2016matching": """@inproceedings{vinyals2016matching,
  title     = {Matching Networks for One Shot Learning},
  author    = {Vinyals, Oriol and Blundell, Charles and Lillicrap, Timothy and Kavukcuoglu, Koray and Wierstra, Daan},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2016},
  eprint    = {1606.04080},
  archivePrefix = {arXiv}
}""",
    "ravi2017optimization": """@inproceedings{ravi2017optimization,
  title     = {Optimization as a Model for Few-Shot Learning},
  author    = {Ravi, Sachin and Larochelle, Hugo},
  booktitle = {International Conference on Learning Representations},
  year      = {2017}
}""",
    "lecun1998mnist": """@article{lecun1998mnist,
  title   = {Gradient-based learning applied to document recognition},
  author  = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE},
  volume  = {86},
  number  = {11},
  pages   = {2278--2324},
  year    = {1998}
}""",
    "liu2015celeba": """@inproceedings{liu2015celeba,
  title     = {Deep Learning Face Attributes in the Wild},
  author    = {Liu, Ziwei and Luo, Ping and Wang, Xiaogang and Tang, Xiaoou},
  booktitle = {International Conference on Computer Vision},
  year      = {2015},
  eprint    = {1411.7766},
  archivePrefix = {arXiv}
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
    "gupta2018unsupervised": """@article{gupta2018unsupervised,
  title   = {Unsupervised Meta-Learning for Reinforcement Learning},
  author  = {Gupta, Abhishek and Eysenbach, Benjamin and Finn, Chelsea and Levine, Sergey},
  journal = {arXiv:1806.04640},
  year    = {2018}
}""",
    "eysenbach2019diayn": """@inproceedings{eysenbach2019diayn,
  title     = {Diversity is All You Need: Learning Skills without a Reward Function},
  author    = {Eysenbach, Benjamin and Gupta, Abhishek and Ibarz, Julian and Levine, Sergey},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  eprint    = {1802.06070},
  archivePrefix = {arXiv}
}""",
    "rothfuss2019promp": """@inproceedings{rothfuss2019promp,
  title     = {{ProMP}: Proximal Meta-Policy Search},
  author    = {Rothfuss, Jonas and Lee, Dennis and Clavera, Ignasi and Asfour, Tamim and Abbeel, Pieter},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  eprint    = {1810.06784},
  archivePrefix = {arXiv}
}""",
    "schulman2017ppo": """@article{schulman2017ppo,
  title   = {Proximal Policy Optimization Algorithms},
  author  = {Schulman, John and Wolski, Filip and Dhariwal, Prafulla and Radford, Alec and Klimov, Oleg},
  journal = {arXiv:1707.06347},
  year    = {2017}
}""",
    "schulman2015trpo": """@inproceedings{schulman2015trpo,
  title     = {Trust Region Policy Optimization},
  author    = {Schulman, John and Levine, Sergey and Moritz, Philipp and Jordan, Michael I. and Abbeel, Pieter},
  booktitle = {International Conference on Machine Learning},
  year      = {2015},
  eprint    = {1502.05477},
  archivePrefix = {arXiv}
}""",
    "gregor2016vic": """@article{gregor2016vic,
  title   = {Variational Intrinsic Control},
  author  = {Gregor, Karol and Rezende, Danilo Jimenez and Wierstra, Daan},
  journal = {arXiv:1611.07507},
  year    = {2016}
}""",
    "achiam2018valor": """@article{achiam2018valor,
  title   = {Variational Option Discovery Algorithms},
  author  = {Achiam, Joshua and Edwards, Harrison and Amodei, Dario and Abbeel, Pieter},
  journal = {arXiv:1807.10299},
  year    = {2018}
}""",
    "lee2019smm": """@article{lee2019smm,
  title   = {Efficient Exploration via State Marginal Matching},
  author  = {Lee, Lisa and Eysenbach, Benjamin and Parisotto, Emilio and Xing, Eric and Levine, Sergey and Salakhutdinov, Ruslan},
  journal = {arXiv:1906.05274},
  year    = {2019}
}""",
    "sharma2020dads": """@inproceedings{sharma2020dads,
  title     = {Dynamics-Aware Unsupervised Discovery of Skills},
  author    = {Sharma, Archit and Gu, Shixiang and Levine, Sergey and Kumar, Vikash and Hausman, Karol},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  eprint    = {1907.01657},
  archivePrefix = {arXiv}
}""",
    "park2024metra": """@inproceedings{park2024metra,
  title     = {{METRA}: Scalable Unsupervised {RL} with Metric-Aware Abstraction},
  author    = {Park, Seohong and Rybkin, Oleh and Levine, Sergey},
  booktitle = {International Conference on Learning Representations},
  year      = {2024},
  eprint    = {2310.08887},
  archivePrefix = {arXiv}
}""",
    "jabri2019carml": """@inproceedings{jabri2019carml,
  title     = {Unsupervised Curricula for Visual Meta-Reinforcement Learning},
  author    = {Jabri, Allan and Hsu, Kyle and Eysenbach, Ben and Gupta, Abhishek and Levine, Sergey and Finn, Chelsea},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019},
  eprint    = {1912.04226},
  archivePrefix = {arXiv}
}""",
    "duan2016rl2": """@article{duan2016rl2,
  title   = {{RL}$^2$: Fast Reinforcement Learning via Slow Reinforcement Learning},
  author  = {Duan, Yan and Schulman, John and Chen, Xi and Bartlett, Peter L. and Sutskever, Ilya and Abbeel, Pieter},
  journal = {arXiv:1611.02779},
  year    = {2016}
}""",
}

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
    """Return the keys of the papers that a run used: those of its recipe that it took up, its network's, its clustering's and its data's.

    Args:
        request: What was learned, from what.
        embedding: The method that made the embedding; None if there is none.
    """
    recipe = request.recipe
    keys = [key for key in recipe.papers if key not in EMBEDDING.values()]
    keys += [EMBEDDING[embedding]] if embedding in EMBEDDING else []
    keys += ["lee2019metaoptnet"] * (recipe.net == "resnet12")
    clustered = embedding == "deepcluster" or (embedding is not None and recipe.proposal == "clusters" and recipe.partition == "kmeans")
    return keys + ["johnson2019faiss"] * clustered + DATA.get(request.source, [])
