import pytest
import torch

from umeta.core.precision import full_precision, half_precision_pays, mixed_precision


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


def test_full_precision_holds_where_it_is_asked_for_and_only_there(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    one = torch.ones(1, 1)
    for asked, kind in ((True, torch.float32), (False, torch.bfloat16)):
        with full_precision(asked), mixed_precision(torch.device("cpu")):
            assert (one @ one).dtype == kind
    with mixed_precision(torch.device("cpu")):
        assert (one @ one).dtype == torch.bfloat16
    half_precision_pays.cache_clear()
