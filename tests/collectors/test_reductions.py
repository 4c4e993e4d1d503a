"""What collectors share of one output is computed once, and never mistaken for that of another output."""

import torch

from auditor.collectors.reductions import shared, shared_peaks


def test_peaks_are_shared_of_that_output_only_and_no_longer_than_the_block():
    output, other = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    with shared(output):
        found = shared_peaks(output)
        assert shared_peaks(output) is found
        assert shared_peaks(output, 2).values.shape == (2, 3, 2)
        assert torch.equal(shared_peaks(other).values, other.amax((2, 3))[:, :, None])
    output.neg_()
    assert torch.equal(shared_peaks(output).values, output.amax((2, 3))[:, :, None])
