"""Knows which ways to find skills have a name."""

from collections.abc import Callable, Mapping

from umeta.control.skills.diayn import Diayn
from umeta.control.skills.objective import SkillObjective
from umeta.control.skills.random_discriminator import RandomDiscriminator

OBJECTIVES: Mapping[str, Callable[..., SkillObjective]] = {
    "diayn": Diayn,
    "random": RandomDiscriminator,
}
