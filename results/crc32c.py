"""CRC-32C (Castagnoli, RFC 3720) of TensorBoard's records, many bytes a step.

A byte's part in the checksum depends on the byte and on how many follow, and the parts are XORed.
tensorboardX goes byte by byte, which took two thirds of the time that a run's event files need.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from tensorboardX.crc32c import CRC_TABLE

ALL_ONES = 0xFFFFFFFF
MASK_DELTA = 0xA282EAD8
# Most bytes at once; the table has 1 kB for each.
CHUNK = 1024


def crc32c(data: bytes) -> int:
    """The checksum, 32 bits."""
    parts, crc = _parts(), ALL_ONES
    for start in range(0, len(data), CHUNK):
        bytes_N = np.frombuffer(data[start : start + CHUNK], np.uint8).copy()
        size = len(bytes_N)
        # What went before is shifted out by the next four bytes.
        before = np.frombuffer(crc.to_bytes(4, "little"), np.uint8)
        bytes_N[:4] ^= before[:size]
        crc = crc >> (8 * size) if size < 4 else 0
        crc ^= int(np.bitwise_xor.reduce(parts[np.arange(size - 1, -1, -1), bytes_N]))
    return crc ^ ALL_ONES


def masked_crc32c(data: bytes) -> int:
    """The checksum as TFRecords keep it: rotated by 15 bits, and shifted."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & ALL_ONES


@cache
def _parts() -> NDArray[np.uint32]:
    """By number of the bytes that follow and by byte, its part in the checksum."""
    alone = np.array(CRC_TABLE, np.uint32)
    parts = np.empty((CHUNK, 256), np.uint32)
    parts[0] = alone
    for place in range(1, CHUNK):
        parts[place] = alone[parts[place - 1] & 0xFF] ^ (parts[place - 1] >> 8)
    return parts
