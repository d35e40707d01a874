"""Unsupervised meta-learning: from unlabeled images to a learning procedure.

import umeta

umeta.learn("photos/", out="runs/photos", budget="20m")
procedure = umeta.load("runs/photos")
classifier = procedure.adapt((images, labels))
classifier.predict(more)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umeta.api import learn, load, load_classifier, suggest
    from umeta.estimator import FewShotClassifier

__version__ = "0.1.0"
__all__ = ["FewShotClassifier", "__version__", "learn", "load", "load_classifier", "suggest"]


def __getattr__(name: str) -> Any:
    """Import the library only when something of it is asked for, so that `umeta --help` is fast."""
    if name in ("learn", "load", "load_classifier", "suggest"):
        from umeta import api

        return getattr(api, name)
    if name == "FewShotClassifier":
        from umeta.estimator import FewShotClassifier

        return FewShotClassifier
    raise AttributeError(f"module 'umeta' has no attribute {name!r}")
