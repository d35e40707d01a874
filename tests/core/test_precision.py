import pytest
import torch

from umeta.core.precision import half_precision_pays, mixed_precision


@pytest.fixture(autouse=True)
def _forget() -> None:
    half_precision_pays.cache_clear()


@pytest.mark.parametrize(
    ("found", "pays"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False), ({}, False)]
)
def test_bfloat16_is_chosen_only_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], pays: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert half_precision_pays("cpu") is pays
    with mixed_precision(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype is (torch.bfloat16 if pays else torch.float32)
    half_precision_pays.cache_clear()


def test_an_unknown_device_computes_in_float32() -> None:
    assert half_precision_pays("meta") is False
