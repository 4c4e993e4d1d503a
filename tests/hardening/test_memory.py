"""Memory does not grow with the number of calls, nor with the square of the number of classes."""

import gc
import tracemalloc

import numpy as np
import pytest
import torch

from auditor import methods
from tests import networks


@pytest.mark.filterwarnings("ignore")
def test_occlusion_keeps_nothing_of_a_call():
    net, image = networks.build(networks.Small, seed=0).eval(), torch.rand(1, 3, 32, 32)

    def objects_after(calls: int) -> int:
        for _ in range(calls):
            methods.occlusion(net, image, 0, window=16, stride=16)
        gc.collect()
        return len(gc.get_objects())

    objects_after(2)
    assert abs(objects_after(5) - objects_after(20)) < 20  # an export leaves hundreds


def test_the_order_of_many_classes_takes_memory_by_the_classes_that_occur():
    confusion = np.zeros((4000, 4000), np.int64)  # 128 MB
    confusion[[7, 9, 11], [9, 7, 11]] = 40
    tracemalloc.start()
    found = methods.reordered(confusion, np.array([7, 9, 11]))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**25
    assert found.order[[7, 9, 11]].tolist() == [9, 7, 11]
    assert found.p < 0.01
