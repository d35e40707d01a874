import pytest

from umeta.core import precision


@pytest.fixture(autouse=True)
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact numbers must not depend on the processor that runs the tests."""
    monkeypatch.setattr(precision, "half_precision_pays", lambda device_type: False)
