"""The most memory that a stage took is seen although it is free again at its end."""

import torch

from placid_kedro.app.peak_memory import forget_peak, peak_mib


def test_what_was_taken_and_given_back_is_seen_once() -> None:
    forget_peak()
    before = peak_mib()
    taken = torch.ones(200 * 2**18)  # 200 MiB
    during = peak_mib()
    del taken
    assert 150 < during - before < 400
    assert peak_mib() > during - 10  # the kernel counts pages by processor
    forget_peak()
    assert peak_mib() < during - 100
