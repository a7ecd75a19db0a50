"""A training step of Keras on PyTorch: what it holds when the forward pass has ended.

Then it has the weights, the optimizer's state, what autograd saved, and two things of which no
derivative knows. Keras's model holds the output of each layer until the pass has ended. And
`train_step` clears the gradients of the step before only after the pass, so they are still there.
What autograd saves is exact (see `torch_saved`); a step on a GPU adds the workspaces of its
convolutions and what the caching allocator cannot use, which nobody measured here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archspec.cost.estimate.footprint import LinearFootprint
from archspec.cost.estimate.torch_saved import saved_tensors

if TYPE_CHECKING:
    from archspec.cost.report import Report


class TorchRule:
    """The rule of PyTorch, which was not measured as a whole."""

    basis = "weights, gradients, state, what autograd saves (exact), and the layers' outputs"
    band = None

    def footprint(self, report: Report) -> LinearFootprint:
        """Return the bytes that a step holds when its forward pass has ended."""
        memory = saved_tensors(report.graph, report.setting)
        held, kept = memory.footprint(memory.saved | memory.outputs), report.memory
        fixed = kept.weights + kept.gradients + kept.optimizer + held.fixed
        return LinearFootprint(fixed, held.example)


RULE: Final = TorchRule()
