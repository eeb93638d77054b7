"""Where the host reads what was computed: on a GPU each look makes it wait until that is there."""

import traceback
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

aten = torch.ops.aten
# What ends in a number, or in a tensor whose size depends on numbers.
READS = (
    aten._local_scalar_dense,
    aten.is_nonzero,
    aten.equal,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
)


class WatchesReads(TorchDispatchMode):
    """Follows the tensors that a GPU would hold, from `on_device` on, and notes where the host reads one."""

    def __init__(self, on_device: list[torch.Tensor]) -> None:
        super().__init__()
        self.on_device = WeakTensorKeyDictionary()
        self.reads: list[str] = []
        self.hold(on_device)

    def hold(self, tensors: list[torch.Tensor]) -> None:
        for tensor in tensors:
            self.on_device[tensor] = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        is_held = any(value in self.on_device for value in given)
        by_mask = func.overloadpacket is aten.index and any(value.dtype == torch.bool for value in given[1:])
        if is_held and (func.overloadpacket in READS or by_mask):
            self.note(str(func))
        result = func(*args, **(kwargs or {}))
        if is_held:
            self.hold([value for value in tree_leaves(result) if isinstance(value, torch.Tensor)])
        return result

    def note(self, what: str) -> None:
        ours = [frame for frame in traceback.extract_stack() if "placid_kedro" in frame.filename]
        if any("splats/cpu" in frame.filename for frame in ours):
            return  # on a GPU gsplat draws
        self.reads.append(f"{what} in {ours[-1].filename}:{ours[-1].lineno}" if ours else what)
