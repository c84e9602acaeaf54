"""Golden values of derivatives: first and second ones of every elementwise operation, from mpmath.

    pip install mpmath
    python tests/golden/derivatives.py    # writes derivatives.txt beside this script

`derivatives.txt` has a line for each point of each operation, numbers as the shortest decimals that float64 reads
back to the same bits:

    name x f' f'' s                                        of one operand
    name a b f_a f_b f_aa f_ab f_bb s_aa s_ab s_bb s_a s_b of two

s is the size of the largest summand of the second derivative, as the formulas below write it: what rounding errors are
relative to; `.` where there is one summand. The last operations of the lists are what derivative rules are made of. Their
first derivatives are second derivatives of others, and may have several summands too: s_a, s_b. Points are where the operation has a finite value and no kink. `-` stands for
a number that is not compared: it overflows, or is smaller than the normal numbers of float64 (but not 0), or does not exist.
"""

import math
import random
from pathlib import Path
from typing import Callable

from mpmath import mp, mpf

mp.prec = 400
LARGEST, SMALLEST = mpf(2) ** 1024 * (1 - mpf(2) ** -54), mpf(2) ** -1022
POINTS, PAIRS = 200, 150

# Sizes of numbers: below the normal ones, where squares, cubes and exponentials over- and underflow, where e^-x is a unit
# in the last place, ordinary ones.
SIZES = [5e-324, 1e-320, 3e-310, 2.3e-308, 1e-300, 1e-200, 1e-154, 1e-100, 1e-30, 1e-17, 1e-8, 1e-5, 1e-3, 0.01, 0.1,
         0.25, 0.5, 0.75, 0.9, 0.999, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0, 17.0, 18.4, 20.0, 26.0, 30.0, 36.0, 37.0, 40.0,
         88.0, 100.0, 300.0, 354.0, 370.0, 700.0, 709.0, 710.0, 740.0, 1e3, 1e5, 1e10, 1e15, 1e16, 1e77, 1e100, 1e103,
         1e154, 1e160, 1e200, 1e300, 1.7e308]  # fmt: skip
ENDS = [1 - 2.0**-k for k in (53, 50, 40, 30, 20, 10)] + [1 + 2.0**-k for k in (52, 50, 40, 30, 20, 10)]
TURNS = [k * math.pi / 2 for k in (1, 2, 3, 4, 7, 100, 12345)]


def unary_points(draw: random.Random) -> list[float]:
    """Edges of both signs first, then numbers of all sizes and ordinary ones."""
    edges = [sign * x for x in [0.0] + SIZES + ENDS + TURNS for sign in (1, -1)]
    while True:
        more = [draw.choice((1, -1)) * 10 ** draw.uniform(-307, 307), draw.uniform(-1, 1), draw.uniform(0, 4),
                draw.uniform(-40, 40), draw.uniform(-1, 1), draw.choice((1, -1)) * 10 ** draw.uniform(-20, 3)]  # fmt: skip
        edges += more
        if len(edges) > 1200:
            return list(dict.fromkeys(edges))


def pairs(draw: random.Random) -> list[tuple[float, float]]:
    def one() -> float:
        kind = draw.randrange(5)
        size = (draw.choice(SIZES) if kind == 0 else 10 ** draw.uniform(-307, 307) if kind == 1
                else draw.choice(ENDS) if kind == 2 else draw.uniform(0, 4))  # fmt: skip
        return draw.choice((1, -1)) * size

    def two() -> tuple[float, float]:
        a = one()
        kind = draw.randrange(6)
        if kind == 0:
            return a, a * draw.uniform(0.5, 2)
        if kind == 1:
            return one(), float(draw.randrange(-5, 6))  # whole numbers, as exponents often are
        return a, one()

    below = [(2.0**-1070 * i, 2.0**-1072 * j) for i in (3, 7, -5) for j in (5, 11, -9)]
    zeros = [(0.0, b) for b in (2.0, 3.0, 0.5, 1.0, 1.5, -2.0)] + [(a, 0.0) for a in (2.0, -3.0, 1e300, 1e-310)]
    powers = [(10.0**e, b) for e in (-300, -200, -120, -2, 2, 300) for b in (0.3, -0.7, 1.03, 1.6, 2.5, 0.1)]
    return below + zeros + powers + [two() for _ in range(4000)]


Value = Callable[[mpf], mpf]
# By name: the value, the first derivative and the summands of the second; None where there is no value.
Row = tuple[Value, Value, Callable[[mpf], list[mpf]]]
pi, ln = mp.pi, mp.log


def logarithm(base: mpf) -> Row:
    return (lambda x: ln(x) / ln(base)), (lambda x: 1 / x / ln(base)), (lambda x: [-1 / x**2 / ln(base)])


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x))


def sech(x: mpf) -> mpf:
    return 1 / mp.cosh(x)


def sign(x: mpf) -> mpf:
    return mpf(mp.sign(x))


def nothing(_: mpf) -> list[mpf]:
    return []


def lies_within(low: float, high: float) -> Callable[[float], bool]:
    return lambda x: low < x < high


def is_no_kink(x: float) -> bool:
    return x != 0


UNARY: dict[str, Row] = {
    "negate": (lambda x: -x, lambda x: mpf(-1), nothing),
    "exp": (mp.exp, mp.exp, lambda x: [mp.exp(x)]),
    "ln": logarithm(mp.e),
    "log10": logarithm(mpf(10)),
    "log2": logarithm(mpf(2)),
    "sin": (mp.sin, mp.cos, lambda x: [-mp.sin(x)]),
    "cos": (mp.cos, lambda x: -mp.sin(x), lambda x: [-mp.cos(x)]),
    "tan": (mp.tan, lambda x: mp.sec(x) ** 2, lambda x: [2 * mp.tan(x) * mp.sec(x) ** 2]),
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), lambda x: [-1 / (4 * mp.sqrt(x) ** 3)]),
    "asin": (mp.asin, lambda x: 1 / mp.sqrt(1 - x * x), lambda x: [x / mp.sqrt(1 - x * x) ** 3]),
    "acos": (mp.acos, lambda x: -1 / mp.sqrt(1 - x * x), lambda x: [-x / mp.sqrt(1 - x * x) ** 3]),
    "atan": (mp.atan, lambda x: 1 / (1 + x * x), lambda x: [-2 * x / (1 + x * x) ** 2]),
    "sinh": (mp.sinh, mp.cosh, lambda x: [mp.sinh(x)]),
    "cosh": (mp.cosh, mp.sinh, lambda x: [mp.cosh(x)]),
    "tanh": (mp.tanh, lambda x: sech(x) ** 2, lambda x: [-2 * mp.tanh(x) * sech(x) ** 2]),
    "sigmoid": (
        sigmoid,
        lambda x: sigmoid(x) * sigmoid(-x),
        lambda x: [sigmoid(x) * sigmoid(-x), -2 * sigmoid(x) ** 2 * sigmoid(-x)],
    ),
    "relu": (lambda x: max(x, mpf(0)), lambda x: mpf(x > 0), nothing),
    "step": (lambda x: mpf(x > 0), lambda x: mpf(0), nothing),
    "sign": (sign, lambda x: mpf(0), nothing),
    "abs": (abs, sign, nothing),
    "log1p": (lambda x: ln(1 + x), lambda x: 1 / (1 + x), lambda x: [-1 / (1 + x) ** 2]),
    "expm1": (lambda x: mp.exp(x) - 1, mp.exp, lambda x: [mp.exp(x)]),
    "cbrt": (
        lambda x: sign(x) * mp.cbrt(abs(x)),
        lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2),
        lambda x: [-2 * sign(x) / (9 * mp.cbrt(abs(x)) ** 5)],
    ),
    "softplus": (lambda x: ln(1 + mp.exp(x)), sigmoid, lambda x: [sigmoid(x) * sigmoid(-x)]),
    "asinh": (mp.asinh, lambda x: 1 / mp.sqrt(1 + x * x), lambda x: [-x / mp.sqrt(1 + x * x) ** 3]),
    "acosh": (mp.acosh, lambda x: 1 / mp.sqrt(x * x - 1), lambda x: [-x / mp.sqrt(x * x - 1) ** 3]),
    "atanh": (mp.atanh, lambda x: 1 / (1 - x * x), lambda x: [2 * x / (1 - x * x) ** 2]),
    "sec": (
        mp.sec,
        lambda x: mp.sec(x) * mp.tan(x),
        lambda x: [2 * mp.sec(x) ** 3, -mp.sec(x)],
    ),
    "csc": (
        mp.csc,
        lambda x: -mp.csc(x) * mp.cot(x),
        lambda x: [2 * mp.csc(x) ** 3, -mp.csc(x)],
    ),
    "cot": (mp.cot, lambda x: -(mp.csc(x) ** 2), lambda x: [2 * mp.cot(x) * mp.csc(x) ** 2]),
    "erf": (
        mp.erf,
        lambda x: 2 / mp.sqrt(pi) * mp.exp(-x * x),
        lambda x: [-4 * x / mp.sqrt(pi) * mp.exp(-x * x)],
    ),
    "gaussian": (
        lambda x: mp.exp(-x * x),
        lambda x: -2 * x * mp.exp(-x * x),
        lambda x: [-2 * mp.exp(-x * x), 4 * x * x * mp.exp(-x * x)],
    ),
    "cbrt_slope": (
        lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2),
        lambda x: -2 * sign(x) / (9 * mp.cbrt(abs(x)) ** 5),
        lambda x: [4 / (27 * mp.cbrt(abs(x)) ** 8), 2 / (9 * mp.cbrt(abs(x)) ** 8)],
    ),
    "sigmoid_slope": (
        lambda x: sigmoid(x) * sigmoid(-x),
        lambda x: -sigmoid(x) * sigmoid(-x) * mp.tanh(x / 2),
        lambda x: [sigmoid(x) * sigmoid(-x) * mp.tanh(x / 2) ** 2, -2 * (sigmoid(x) * sigmoid(-x)) ** 2],
    ),
    "sech2": (
        lambda x: sech(x) ** 2,
        lambda x: -2 * mp.tanh(x) * sech(x) ** 2,
        lambda x: [4 * sech(x) ** 2, -6 * sech(x) ** 4],
    ),
    "one_minus_square": (lambda x: 1 - x * x, lambda x: -2 * x, lambda x: [mpf(-2)]),
}
WITHIN = {
    **{name: lies_within(0, math.inf) for name in ("ln", "log10", "log2", "sqrt")},
    **{name: lies_within(-1, 1) for name in ("asin", "acos", "atanh")},
    **{name: is_no_kink for name in ("relu", "step", "sign", "abs", "cbrt", "cbrt_slope", "csc", "cot")},
    "log1p": lies_within(-1, math.inf),
    "acosh": lies_within(1, math.inf),
}

PairValue = Callable[[mpf, mpf], mpf]
Summands = Callable[[mpf, mpf], list[mpf]]
PairRow = tuple[PairValue, list[PairValue | Summands], list[Callable[[mpf, mpf], list[mpf]]]]


def zero(a: mpf, b: mpf) -> mpf:
    return mpf(0)


def none(a: mpf, b: mpf) -> list[mpf]:
    return []


def power(a: mpf, b: mpf) -> mpf:
    if a == 0:
        return mpf(0) if b > 0 else mpf(1) if b == 0 else mp.inf
    return mp.power(a, b)


def power_log(a: mpf, b: mpf, times: int = 1) -> mpf:
    """a^b ln(a)^times, in the limit at a = 0."""
    if a == 0:
        return mpf(0) if b > 0 else mp.inf
    return power(a, b) * ln(a) ** times if a > 0 else mp.nan


def below(n: int) -> PairRow:
    """a^(b - n)"""
    return (
        lambda a, b: power(a, b - n),
        [lambda a, b: (b - n) * power(a, b - n - 1), lambda a, b: power_log(a, b - n)],
        [
            lambda a, b: [(b - n) ** 2 * power(a, b - n - 2), -(b - n) * power(a, b - n - 2)]
            if n == 2
            else [(b - n) * (b - n - 1) * power(a, b - n - 2)],
            lambda a, b: [power(a, b - n - 1), (b - n) * power_log(a, b - n - 1)],
            lambda a, b: [power_log(a, b - n, 2)],
        ],
    )


def inverse(a: mpf, b: mpf) -> mpf:
    return b / (a * a + b * b)


def root(a: mpf, b: mpf) -> mpf:
    return mp.sqrt(a * a + b * b)


BINARY: dict[str, PairRow] = {
    "add": (lambda a, b: a + b, [lambda a, b: mpf(1)] * 2, [none] * 3),
    "sub": (lambda a, b: a - b, [lambda a, b: mpf(1), lambda a, b: mpf(-1)], [none] * 3),
    "mul": (lambda a, b: a * b, [lambda a, b: b, lambda a, b: a], [none, lambda a, b: [mpf(1)], none]),
    "div": (
        lambda a, b: a / b,
        [lambda a, b: 1 / b, lambda a, b: -a / b**2],
        [none, lambda a, b: [-1 / b**2], lambda a, b: [2 * a / b**3]],
    ),
    "pow": below(0),
    "max": (max, [lambda a, b: mpf(a > b), lambda a, b: mpf(b > a)], [none] * 3),
    "min": (min, [lambda a, b: mpf(a < b), lambda a, b: mpf(b < a)], [none] * 3),
    "above": (lambda a, b: mpf(a > b), [zero] * 2, [none] * 3),
    "hypot": (
        root,
        [lambda a, b: a / root(a, b), lambda a, b: b / root(a, b)],
        [
            lambda a, b: [b * b / root(a, b) ** 3],
            lambda a, b: [-a * b / root(a, b) ** 3],
            lambda a, b: [a * a / root(a, b) ** 3],
        ],
    ),
    "atan2": (
        mp.atan2,
        [inverse, lambda a, b: -inverse(b, a)],
        [
            lambda a, b: [-2 * inverse(a, b) * inverse(b, a)],
            lambda a, b: [inverse(b, a) ** 2, -(inverse(a, b) ** 2)],
            lambda a, b: [2 * inverse(a, b) * inverse(b, a)],
        ],
    ),
    "direction": (
        lambda a, b: a / root(a, b),
        [lambda a, b: b * b / root(a, b) ** 3, lambda a, b: -a * b / root(a, b) ** 3],
        [
            lambda a, b: [-3 * a * b * b / root(a, b) ** 5],
            lambda a, b: [2 * a * a * b / root(a, b) ** 5, -(b**3) / root(a, b) ** 5],
            lambda a, b: [2 * a * b * b / root(a, b) ** 5, -(a**3) / root(a, b) ** 5],
        ],
    ),
    "inversion": (
        inverse,
        [lambda a, b: -2 * inverse(a, b) * inverse(b, a), lambda a, b: [inverse(b, a) ** 2, -(inverse(a, b) ** 2)]],
        [
            lambda a, b: [6 * inverse(a, b) * inverse(b, a) ** 2, -2 * inverse(a, b) ** 3],
            lambda a, b: [6 * inverse(b, a) * inverse(a, b) ** 2, -2 * inverse(b, a) ** 3],
            lambda a, b: [-6 * inverse(a, b) * inverse(b, a) ** 2, 2 * inverse(a, b) ** 3],
        ],
    ),
    "power_below": below(1),
    "power_below2": below(2),
    "power_log": (
        power_log,
        [
            lambda a, b: [power(a, b - 1), b * power_log(a, b - 1)],
            lambda a, b: power_log(a, b, 2),
        ],
        [
            lambda a, b: [b * power(a, b - 2), (b - 1) * power(a, b - 2), b * (b - 1) * power_log(a, b - 2)],
            lambda a, b: [2 * power_log(a, b - 1), b * power_log(a, b - 1, 2)],
            lambda a, b: [power_log(a, b, 3)],
        ],
    ),
    "xlogy": (
        lambda a, b: a * ln(b),
        [lambda a, b: ln(b), lambda a, b: a / b],
        [none, lambda a, b: [1 / b], lambda a, b: [-a / b**2]],
    ),
}


def pair_has_value(name: str, a: float, b: float) -> bool:
    if name.startswith("power_") and (a == 0 or name == "power_log" and a < 0):
        return False
    if name == "pow" and a != 0 and abs(b) < 1e-14 and abs(a) < 1e-154:
        return False  # a factor of its derivatives overflows, a^(b - 1) or a^(b - 2)
    if name.startswith("pow"):
        return a > 0 or b == int(b) and (a < 0 or b > 0)
    if name == "xlogy":
        return b > 0
    if name == "div":
        return b != 0
    if name in ("max", "min", "above"):
        return a != b
    if name in ("hypot", "atan2", "direction", "inversion"):
        return max(abs(a), abs(b)) > 1e-307 or (a != 0 and b != 0)
    return True


def rounded(x: mpf) -> float | None:
    """The nearest float64; nothing where that is not normal, but for an exact 0."""
    if mp.isnan(x) or isinstance(x, mp.mpc) or abs(x) >= LARGEST or 0 < abs(x) < SMALLEST:
        return None
    return float(x)


def text(x: float | None) -> str:
    if x is None:
        return "-"
    return str(int(x)) if x == int(x) and abs(x) < 1e6 else repr(x)


def second(summands: list[mpf]) -> tuple[str, str]:
    """The second derivative and its largest summand."""
    if any(isinstance(x, mp.mpc) or not mp.isfinite(x) for x in summands):
        return "-", "."
    total, largest = mp.fsum(summands), max([abs(x) for x in summands], default=mpf(0))
    # What cancels may be as small as it likes: errors are relative to the largest summand.
    if rounded(largest) is None:
        return "-", "."
    return text(float(total)), "." if len(summands) < 2 else text(float(largest))


def lines() -> list[str]:
    found = ["# Written by derivatives.py, which says what stands where."]
    for name, (value, first, summands) in UNARY.items():
        draw, count = random.Random(name), 0
        for x in unary_points(draw):
            if not WITHIN.get(name, lambda _: True)(x):
                continue
            at = mpf(x)
            if abs(x) > 1e5 and name in ("exp", "sinh", "cosh", "expm1") and (x > 0 or "h" in name):
                continue
            if abs(x) > 1e5 and name in ("sigmoid", "softplus", "tanh", "erf", "gaussian", "sech2", "sigmoid_slope"):
                at = mpf(math.copysign(1e5, x))  # they are what they are at infinity, to thousands of digits
            size = abs(value(at)) if name != "erf" and name != "gaussian" else mpf(0)
            if size >= LARGEST:
                continue
            d1 = rounded(first(at))
            if d1 is None and count > POINTS // 2:
                continue
            found.append(" ".join([name, text(x), text(d1), *second(summands(at))]).replace("-0.0 ", "0 "))
            count += 1
            if count == POINTS:
                break
    for name, (pair_value, firsts, seconds) in BINARY.items():
        draw, count = random.Random(name), 0
        for a, b in pairs(draw):
            if not pair_has_value(name, a, b):
                continue
            at_pair = mpf(a), mpf(b)
            if name.startswith("pow") and a != 0 and abs(b * math.log(abs(a))) > 800:
                continue
            size = abs(pair_value(*at_pair))
            if size >= LARGEST or name.startswith("power_") and size < SMALLEST:
                continue
            # All summands of each first derivative.
            parts = [part if isinstance(part, list) else [part] for part in (first(*at_pair) for first in firsts)]
            both = [rounded(mp.fsum(part)) for part in parts]
            if None in both and count > PAIRS * 2 // 3:
                continue
            three = [second(summands(*at_pair)) for summands in seconds]
            fields = [text(a), text(b), *map(text, both), *(v for v, _ in three), *(s for _, s in three)]
            fields += ["." if len(part) < 2 else text(rounded(max(map(abs, part)))) for part in parts]
            found.append(" ".join([name, *fields]))
            count += 1
            if count == PAIRS:
                break
    return found


if __name__ == "__main__":
    target = Path(__file__).with_suffix(".txt")
    target.write_text("\n".join(lines()) + "\n")
    print(f"{target}: {target.stat().st_size} bytes")
