"""Small numeric kernels in single precision: exp, log, selection, sorting, random numbers.

numba has no vectorised exp and log, so these are polynomials that LLVM vectorises (relative error
below 2e-5). Every constant is a float32: numba widens a literal, or the product of an int32 and a
float32, to float64, which halves the speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Keys = NDArray[np.int64]

KERNEL: dict[str, Any] = {"cache": True, "fastmath": True, "nogil": True, "error_model": "numpy", "boundscheck": False}
"""Options of every kernel.

``fastmath`` assumes that inputs are finite: an absent score is -1e9, not -inf.
"""

f4, i4 = np.float32, np.int32
ZERO, ONE = f4(0), f4(1)
_LOG2_E, _LN_2 = f4(1.44269504), f4(0.69314718)
_INSERTION = 16


def _bits_(typing: Any, value: Any) -> Any:
    """Compile to: the bits of a float32 as an int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


def _from_bits_(typing: Any, value: Any) -> Any:
    """Compile to: the float32 that has the bits of an int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


_bits: Any = intrinsic(_bits_)
_from_bits: Any = intrinsic(_from_bits_)


@njit(inline="always", **KERNEL)
def exp(x):  # type: ignore[no-untyped-def]
    """e ** x; x is clipped to [-80, 80]."""
    t = max(min(x, f4(80)), f4(-80)) * _LOG2_E
    n = i4(t + f4(126.5)) - i4(126)
    f = t - f4(n)
    p = f * f4(0.0013333558) + f4(0.0096181291)
    p = p * f + f4(0.0555041087)
    p = p * f + f4(0.2402265070)
    p = p * f + f4(0.6931471806)
    p = p * f + ONE
    return p * _from_bits(i4((i4(n) + i4(127)) << 23))


@njit(inline="always", **KERNEL)
def log(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a positive number that is not denormal."""
    bits = _bits(x)
    exponent = f4(i4(bits >> 23) - i4(127))
    mantissa = _from_bits(i4(i4(bits & 0x7FFFFF) | i4(0x3F800000)))
    y = (mantissa - ONE) / (mantissa + ONE)
    y2 = y * y
    series = ONE + y2 * (f4(0.33333333) + y2 * (f4(0.2) + y2 * (f4(0.14285714) + y2 * f4(0.11111))))
    return exponent * _LN_2 + f4(2) * y * series


@njit(inline="always", **KERNEL)
def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + e ** -x)."""
    return ONE / (ONE + exp(-x))


@njit(inline="always", **KERNEL)
def tanh(x):  # type: ignore[no-untyped-def]
    """Hyperbolic tangent."""
    return f4(2) / (ONE + exp(f4(-2) * x)) - ONE


@njit(inline="always", **KERNEL)
def descending(score, index):  # type: ignore[no-untyped-def]
    """An int64 key that sorts by descending score, then by ascending index.

    The index is the lower half of the key: see `index_of`.
    """
    bits = _bits(score)
    if bits < 0:
        bits = i4(bits ^ i4(0x7FFFFFFF))
    return ((-np.int64(bits)) << 32) | np.int64(index)


@njit(inline="always", **KERNEL)
def index_of(key):  # type: ignore[no-untyped-def]
    """The index that `descending` put into a key."""
    return key & 0x7FFFFFFF


@njit(inline="always", **KERNEL)
def score_of(key):  # type: ignore[no-untyped-def]
    """The score that `descending` put into a key."""
    bits = i4(-(key >> 32))
    if bits < 0:
        bits = i4(bits ^ i4(0x7FFFFFFF))
    return _from_bits(bits)


@njit(**KERNEL)
def select(keys, n, k):  # type: ignore[no-untyped-def]
    """Move the k smallest of the first n keys to the front, unordered (Hoare's quickselect)."""
    low, high = 0, n - 1
    while high - low > _INSERTION:
        i, j = _partition(keys, low, high)
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            return
    _insertion_sort(keys, low, high)


@njit(**KERNEL)
def sort(keys, n):  # type: ignore[no-untyped-def]
    """Sort the first n keys in ascending order."""
    stack = np.empty(128, np.int64)
    stack[0], stack[1], depth = 0, n - 1, 2
    while depth:
        low, high = stack[depth - 2], stack[depth - 1]
        depth -= 2
        while high - low > _INSERTION:
            i, j = _partition(keys, low, high)
            if j - low < high - i:
                stack[depth], stack[depth + 1], high = i, high, j
            else:
                stack[depth], stack[depth + 1], low = low, j, i
            depth += 2
    _insertion_sort(keys, 0, n - 1)


@njit(inline="always", **KERNEL)
def _partition(keys, low, high):  # type: ignore[no-untyped-def]
    """Split keys[low..high] at the median of three of them (Hoare).

    Returns i and j: no key in [low..j] is above the pivot, and none in [i..high] below it.
    """
    a, b, c = keys[low], keys[(low + high) >> 1], keys[high]
    pivot = max(min(a, b), min(max(a, b), c))
    i, j = low, high
    while i <= j:
        while keys[i] < pivot:
            i += 1
        while keys[j] > pivot:
            j -= 1
        if i <= j:
            keys[i], keys[j] = keys[j], keys[i]
            i += 1
            j -= 1
    return i, j


@njit(inline="always", **KERNEL)
def _insertion_sort(keys, low, high):  # type: ignore[no-untyped-def]
    for i in range(low + 1, high + 1):
        key, j = keys[i], i - 1
        while j >= low and keys[j] > key:
            keys[j + 1] = keys[j]
            j -= 1
        keys[j + 1] = key


@njit(inline="always", **KERNEL)
def below(random, n):  # type: ignore[no-untyped-def]
    """A random integer in [0, n); advances ``random``, a uint64[1] that is not zero.

    The generator is Marsaglia's xorshift64 (2003).
    """
    x = random[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    random[0] = x
    return np.int64((x >> np.uint64(11)) % np.uint64(n))
