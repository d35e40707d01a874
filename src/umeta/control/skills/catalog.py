"""Knows which ways to find skills have a name."""

from collections.abc import Callable, Mapping
from functools import partial

from umeta.control.skills.dads import Dads
from umeta.control.skills.diayn import Diayn
from umeta.control.skills.metra import Metra
from umeta.control.skills.objective import SkillObjective
from umeta.control.skills.smm import Smm
from umeta.control.skills.valor import Valor
from umeta.control.skills.vic import Vic

OBJECTIVES: Mapping[str, Callable[..., SkillObjective]] = {
    "diayn": Diayn,
    "random": partial(Diayn, trained=False),
    "vic": Vic,
    "valor": Valor,
    "smm": Smm,
    "dads": Dads,
    "metra": Metra,
}
