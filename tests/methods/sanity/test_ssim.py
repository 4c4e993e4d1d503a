import pytest
import skimage.metrics
import torch

from auditor.methods.sanity.ssim import moments, similarity, structural_similarity


@pytest.mark.parametrize("size", [(11, 11), (40, 33)])
def test_is_what_scikit_image_computes_as_in_the_paper(size):
    a = torch.rand(3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = (a + 0.3 * torch.rand(3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).clamp(0, 1)
    paper = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    expected = [skimage.metrics.structural_similarity(x.numpy(), y.numpy(), **paper) for x, y in zip(a, b, strict=True)]
    assert structural_similarity(a, b).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (4, 7), (30, 30)])
def test_is_one_for_equals_and_never_more(size):
    a, b = torch.rand(2, 2, *size, generator=torch.Generator().manual_seed(0))
    assert structural_similarity(a, a).tolist() == pytest.approx([1, 1])
    assert (structural_similarity(a, b) < 1).all()
    torch.testing.assert_close(structural_similarity(a, b), structural_similarity(b, a))


def test_what_is_known_of_a_map_serves_for_many_others():
    a, b, c = torch.rand(3, 1, 30, 41, generator=torch.Generator().manual_seed(0))
    known = moments(a)
    for other in (b, c, a):
        assert torch.equal(similarity(known, moments(other)), structural_similarity(a, other))
