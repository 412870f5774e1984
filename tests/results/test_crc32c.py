"""The checksum is tensorboardX's, at every length."""

import numpy as np
import pytest
from tensorboardX.crc32c import _crc32c
from tensorboardX.record_writer import masked_crc32c as masked_byte_by_byte

from results.crc32c import CHUNK, crc32c, masked_crc32c


def test_the_check_value_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize(
    "size", [*range(10), CHUNK - 1, *range(CHUNK, CHUNK + 6), 2 * CHUNK + 3]
)
def test_it_is_that_of_byte_by_byte(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == _crc32c(data)
    assert masked_crc32c(data) == masked_byte_by_byte(data)
