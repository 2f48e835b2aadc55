"""The random numbers of a tensor: Philox 4x32-10 keyed by the seed, the model's number and the tensor's name.

Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". One call serves eight elements, 16 bits each.
"""

from __future__ import annotations

import numpy as np

MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)
LOW = np.uint64(0xFFFF_FFFF)
HALF = np.uint64(32)
ROUNDS = 10


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """The four 32-bit outputs for every counter; shape (..., 4) in, shape (..., 4) out, both of uint64."""
    x0, x1, x2, x3 = np.moveaxis(counter.astype(np.uint64), -1, 0)
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(ROUNDS):
        left, right = MULTIPLIERS[0] * x0, MULTIPLIERS[1] * x2
        x0, x1, x2, x3 = (right >> HALF) ^ x1 ^ k0, right & LOW, (left >> HALF) ^ x3 ^ k1, left & LOW
        k0, k1 = (k0 + WEYL[0]) & LOW, (k1 + WEYL[1]) & LOW
    return np.stack([x0, x1, x2, x3], axis=-1)


def fnv1a(data: bytes) -> int:
    """The 64-bit hash FNV-1a."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


def key_of(name: str, seed: int, model: int) -> tuple[int, int]:
    """The key of one tensor of one model; models are numbered without the base."""
    value = fnv1a(seed.to_bytes(8, "little") + model.to_bytes(8, "little") + name.encode())
    return value & 0xFFFF_FFFF, value >> 32


def draws(name: str, seed: int, model: int, size: int) -> np.ndarray:
    """A number of 0..65535 for each of the tensor's elements in flat order."""
    block = np.arange(-(-size // 8), dtype=np.uint64)
    zero = np.zeros_like(block)
    words = philox(np.stack([block & LOW, block >> HALF, zero, zero], axis=-1), key_of(name, seed, model))
    halves = np.stack([words & np.uint64(0xFFFF), words >> np.uint64(16)], axis=-1)
    return halves.reshape(-1)[:size].astype(np.int64)
