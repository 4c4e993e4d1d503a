"""Times as they are written."""

import pytest

from auditor.config.duration import duration
from auditor.errors import UsageError


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1.5h", 5400), ("45", 45), (45, 45), ("0", 0)]
)
def test_a_time_has_a_unit_or_is_in_seconds(written, seconds):
    assert duration("--check-timeout", written) == seconds


@pytest.mark.parametrize("written", ["", "soon", "-1", "1d", "1h30m", True, None, "nan", "inf", "9" * 400])
def test_anything_else_is_refused_with_an_example(written):
    with pytest.raises(UsageError, match=r"--check-timeout is .* has to be a time, such as 90s, 10m or 2h"):
        duration("--check-timeout", written)
