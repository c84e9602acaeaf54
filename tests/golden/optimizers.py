"""Golden values of the optimizers: PyTorch's losses and parameters over 100 steps, in float64.

    pip install torch numpy
    python tests/golden/optimizers.py               # checks, then writes optimizers.json beside this script
    python tests/golden/optimizers.py --search 250  # names the seeds below 250 that pass, writes nothing

The work: a 3-4-2 network, Linear, ReLU, Linear, and the mean cross-entropy over one batch of 6 rows,
trained on the full batch. `optimizers.json` holds

    torch               the version that made the file
    layers, x, labels   [3, 4, 2], the batch (6 x 3), its classes
    initial             the parameters before the first step, flat
    cases               one per optimizer and setting:
        case, optimizer, lr, ...      its name and hyperparameters (those that the optimizer has)
        losses                        100 numbers, the loss before each step
        parameters_after              {"1": [...], "2": ..., "10": ..., "100": ...}, flat

A flat list is 0.weight (4 x 3, row by row), 0.bias (4), 2.weight (2 x 4), 2.bias (2).

Agreement to 1e-12 can be asked only where rounding stays small, so the problem is chosen with care. Each
number below is printed for each optimizer, and one out of bounds writes no file:

- `margin`: no pre-activation comes nearer to zero than `MARGIN`. ReLU's derivative jumps there, and a last
  bit could send two correct programs different ways.
- `dead`: no hidden unit is ever off for all rows, so every parameter has a gradient at every step.
- `last bit`: initial parameters changed by one unit in the last place change no parameter at any step by
  more than a relative `TOLERANCE`. Many seeds fail here with RMSprop: near a minimum it divides a small
  gradient by its own size, and small differences grow from step to step.
- `4 x rounding`: PyTorch's losses and parameters stay within a quarter of `TOLERANCE` of the same program in
  80-bit numbers (x86's `long double`). Where a softmax saturates they do not: p − 1 has lost its digits, and
  RMSprop and Adam divide a small gradient by its own size. Two programs then agree only by luck.
- `numpy`: NumPy, with the gradient derived by hand and each update rule as its paper states it, finds
  PyTorch's losses and parameters to a relative `TOLERANCE` at every step.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import torch

LAYERS = [3, 4, 2]
ROWS = 6
STEPS = 100
SNAPSHOTS = (1, 2, 10, 100)
SEED = 532  # its ReLUs switch often, no softmax saturates, and rounding grows little
MARGIN = 1e-6  # a million times what rounding moves a pre-activation
TOLERANCE = 1e-12

Case = dict[str, Any]
Parameters = list[np.ndarray]  # 0.weight, 0.bias, 2.weight, 2.bias
Update = Callable[[np.ndarray, np.ndarray, int], None]  # (theta, gradient, t): updates theta in place

# The constants' names are this project's. A weight decay is decoupled (Loshchilov and Hutter 2019).
CASES: list[Case] = [
    {"case": "adagrad", "optimizer": "adagrad", "lr": 0.05, "epsilon": 1e-10},
    {"case": "rmsprop, rho 0.99", "optimizer": "rmsprop", "lr": 0.01, "rho": 0.99, "epsilon": 1e-8},
    {"case": "rmsprop, rho 0.9", "optimizer": "rmsprop", "lr": 0.01, "rho": 0.9, "epsilon": 1e-8},
    {"case": "adam", "optimizer": "adam", "lr": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    {"case": "adamw", "optimizer": "adam", "lr": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
     "weight_decay": 0.05},
    {"case": "sgd, momentum 0.9", "optimizer": "sgd", "lr": 0.05, "momentum": 0.9},
    {"case": "sgd", "optimizer": "sgd", "lr": 0.05, "momentum": 0.0},
    {"case": "adadelta", "optimizer": "adadelta", "lr": 1.0, "rho": 0.95, "epsilon": 1e-6},
    {"case": "adadelta, decay", "optimizer": "adadelta", "lr": 1.0, "rho": 0.95, "epsilon": 1e-6,
     "weight_decay": 0.005},
    {"case": "nesterov", "optimizer": "nesterov", "lr": 0.04, "momentum": 0.9},
    {"case": "nesterov, decay", "optimizer": "nesterov", "lr": 0.02, "momentum": 0.8, "weight_decay": 0.05},
    {"case": "lion", "optimizer": "lion", "lr": 0.00173, "beta1": 0.9, "beta2": 0.99},
    {"case": "lion, decay", "optimizer": "lion", "lr": 0.00411, "beta1": 0.95, "beta2": 0.98, "weight_decay": 0.1},
]


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, Parameters]:
    """The batch, its labels and the initial parameters; three decimals each, so that the file is legible."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, LAYERS[0])).round(3)
    labels = rng.permutation(ROWS) % LAYERS[-1]
    parameters = []
    for fan_in, fan_out in zip(LAYERS, LAYERS[1:]):
        parameters.append((rng.standard_normal((fan_out, fan_in)) * np.sqrt(2 / fan_in)).round(3))
        parameters.append((rng.standard_normal(fan_out) * 0.1).round(3))
    return x, labels, parameters


# PyTorch ----------------------------------------------------------------------------------------------------


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, Algorithm 2, which PyTorch has not: written here a second time, with tensors."""

    def __init__(self, parameters: Iterator[torch.nn.Parameter], lr: float, betas: tuple[float, float]) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for parameter in group["params"]:
                mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
                parameter.sub_(torch.sign(torch.lerp(parameter.grad, mean, beta1)), alpha=group["lr"])
                mean.lerp_(parameter.grad, 1 - beta2)


def torch_optimizer(case: Case, parameters: Iterator[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer without weight decay but AdamW, which has its own; PyTorch's other decays are not decoupled."""
    lr = case["lr"]
    match case["optimizer"]:
        case "adagrad":
            return torch.optim.Adagrad(parameters, lr=lr, eps=case["epsilon"])
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=lr, alpha=case["rho"], eps=case["epsilon"])
        case "adam":
            betas = (case["beta1"], case["beta2"])
            if "weight_decay" in case:
                decay = case["weight_decay"]
                return torch.optim.AdamW(parameters, lr=lr, betas=betas, eps=case["epsilon"], weight_decay=decay)
            return torch.optim.Adam(parameters, lr=lr, betas=betas, eps=case["epsilon"])
        case "sgd":
            return torch.optim.SGD(parameters, lr=lr, momentum=case["momentum"])
        case "adadelta":
            return torch.optim.Adadelta(parameters, lr=lr, rho=case["rho"], eps=case["epsilon"])
        case "nesterov":
            return torch.optim.SGD(parameters, lr=lr, momentum=case["momentum"], nesterov=True)
        case "lion":
            return Lion(parameters, lr=lr, betas=(case["beta1"], case["beta2"]))
    raise ValueError(f"no such optimizer: {case['optimizer']}")


def train_torch(
    case: Case, x: np.ndarray, labels: np.ndarray, initial: Parameters
) -> tuple[list[float], list[list[float]], np.ndarray]:
    """Losses, flat parameters after each step, and the pre-activations (STEPS, ROWS, hidden)."""
    net = torch.nn.Sequential(
        torch.nn.Linear(LAYERS[0], LAYERS[1]), torch.nn.ReLU(), torch.nn.Linear(LAYERS[1], LAYERS[2])
    ).double()
    names = ["0.weight", "0.bias", "2.weight", "2.bias"]
    net.load_state_dict({name: torch.tensor(value) for name, value in zip(names, initial)})
    optimizer = torch_optimizer(case, net.parameters())
    decay = 0.0 if isinstance(optimizer, torch.optim.AdamW) else case.get("weight_decay", 0.0)
    inputs, targets = torch.tensor(x), torch.tensor(labels)

    losses, trajectory, pre_activations = [], [], []
    for _ in range(STEPS):
        hidden = net[0](inputs)
        loss = torch.nn.functional.cross_entropy(net[2](net[1](hidden)), targets)
        optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(1 - case["lr"] * decay)
        optimizer.step()
        losses.append(loss.item())
        trajectory.append(flatten([value.detach().numpy() for value in net.state_dict().values()]))
        pre_activations.append(hidden.detach().numpy())
    return losses, trajectory, np.stack(pre_activations)


# NumPy, by hand ---------------------------------------------------------------------------------------------


def adagrad(case: Case) -> Update:
    """G += g^2; theta -= lr g / (sqrt(G) + eps). Duchi, Hazan and Singer 2011, diagonal form."""
    lr, epsilon = case["lr"], case["epsilon"]
    accumulator = 0.0

    def update(theta: np.ndarray, g: np.ndarray, t: int) -> None:
        nonlocal accumulator
        accumulator = accumulator + g**2
        theta -= lr * g / (np.sqrt(accumulator) + epsilon)

    return update


def rmsprop(case: Case) -> Update:
    """v = rho v + (1 - rho) g^2; theta -= lr g / (sqrt(v) + eps). Tieleman and Hinton 2012."""
    lr, rho, epsilon = case["lr"], case["rho"], case["epsilon"]
    v = 0.0

    def update(theta: np.ndarray, g: np.ndarray, t: int) -> None:
        nonlocal v
        v = rho * v + (1 - rho) * g**2
        theta -= lr * g / (np.sqrt(v) + epsilon)

    return update


def adam(case: Case) -> Update:
    """Kingma and Ba 2015, Algorithm 1."""
    lr, beta1, beta2, epsilon = case["lr"], case["beta1"], case["beta2"], case["epsilon"]
    m = v = 0.0

    def update(theta: np.ndarray, g: np.ndarray, t: int) -> None:
        nonlocal m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta -= lr * m_hat / (np.sqrt(v_hat) + epsilon)

    return update


def sgd(case: Case) -> Update:
    """u = mu u + g; theta -= lr u. The learning rate stands outside u, as PyTorch has it."""
    lr, momentum = case["lr"], case["momentum"]
    u = 0.0

    def update(theta: np.ndarray, g: np.ndarray, t: int) -> None:
        nonlocal u
        u = momentum * u + g
        theta -= lr * u

    return update


def adadelta(case: Case) -> Update:
    """Zeiler 2012, Algorithm 1: the root mean squares of moves and of gradients, whose quotient is the rate."""
    lr, rho, epsilon = case["lr"], case["rho"], case["epsilon"]
    squares = moves = 0.0

    def update(theta: np.ndarray, g: np.ndarray, t: int) -> None:
        nonlocal squares, moves
        squares = rho * squares + (1 - rho) * g**2
        move = -np.sqrt(moves + epsilon) / np.sqrt(squares + epsilon) * g
        moves = rho * moves + (1 - rho) * move**2
        theta += lr * move

    return update


def nesterov(case: Case) -> Update:
    """Sutskever et al. 2013, equations 3 and 4, for the point where the gradient is taken.

    The paper's theta is u behind: phi = theta + mu v, with v = mu v - lr g(phi) and theta += v.
    """
    lr, momentum = case["lr"], case["momentum"]
    v = 0.0

    def update(phi: np.ndarray, g: np.ndarray, t: int) -> None:
        nonlocal v
        theta = phi - momentum * v
        v = momentum * v - lr * g
        phi[...] = theta + v + momentum * v

    return update


def lion(case: Case) -> Update:
    """Chen et al. 2023, Algorithm 2."""
    lr, beta1, beta2 = case["lr"], case["beta1"], case["beta2"]
    m = 0.0

    def update(theta: np.ndarray, g: np.ndarray, t: int) -> None:
        nonlocal m
        c = beta1 * m + (1 - beta1) * g
        theta -= lr * np.sign(c)
        m = beta2 * m + (1 - beta2) * g

    return update


RULES: dict[str, Callable[[Case], Update]] = {
    rule.__name__: rule for rule in (adagrad, rmsprop, adam, sgd, adadelta, nesterov, lion)
}


def loss_and_gradients(x: np.ndarray, labels: np.ndarray, parameters: Parameters) -> tuple[float, Parameters]:
    """Mean cross-entropy and its gradients, derived by hand.

    z = x W1' + b1, h = max(z, 0), y = h W2' + b2, loss = mean_r(log sum_c exp y[r,c] - y[r,label_r]).
    """
    w1, b1, w2, b2 = parameters
    rows = np.arange(len(x))
    z = x @ w1.T + b1
    h = np.maximum(z, 0)
    y = h @ w2.T + b2
    y = y - y.max(axis=1, keepdims=True)  # changes no probability, keeps exp in range
    log_sum = np.log(np.exp(y).sum(axis=1))
    loss = np.mean(log_sum - y[rows, labels])

    dy = np.exp(y - log_sum[:, None])
    dy[rows, labels] -= 1
    dy /= len(x)
    dz = (dy @ w2) * (z > 0)
    return float(loss), [dz.T @ x, dz.sum(axis=0), dy.T @ h, dy.sum(axis=0)]


def train_numpy(
    case: Case, x: np.ndarray, labels: np.ndarray, initial: Parameters
) -> tuple[list[float], list[list[float]]]:
    """Losses, and flat parameters after each step."""
    parameters = [value.copy() for value in initial]
    updates = [RULES[case["optimizer"]](case) for _ in parameters]
    losses, trajectory = [], []
    for t in range(1, STEPS + 1):
        loss, gradients = loss_and_gradients(x, labels, parameters)
        for theta, gradient, update in zip(parameters, gradients, updates):
            theta *= 1 - case["lr"] * case.get("weight_decay", 0.0)
            update(theta, gradient, t)
        losses.append(loss)
        trajectory.append(flatten(parameters))
    return losses, trajectory


# The check and the file -------------------------------------------------------------------------------------


def flatten(parameters: Parameters) -> list[float]:
    return [float(number) for value in parameters for number in value.ravel()]


def relative_difference(found: Any, expected: Any) -> float:
    """The largest |found - expected| / |expected|, number by number; equal numbers differ by 0."""
    found, expected = np.asarray(found), np.asarray(expected)
    difference = np.abs(found - expected)
    scale = np.where(difference == 0, 1.0, np.abs(expected))
    return float(np.max(difference / scale))


def last_bit(case: Case, x: np.ndarray, labels: np.ndarray, initial: Parameters, trajectory: list) -> float:
    """How far the parameters move, relatively and at most, when each initial one moves by its last bit."""
    rng = np.random.default_rng(0)
    largest = 0.0
    for _ in range(8):
        nudged = [np.nextafter(value, rng.choice([-np.inf, np.inf], value.shape)) for value in initial]
        largest = max(largest, relative_difference(train_numpy(case, x, labels, nudged)[1], trajectory))
    return largest


def rounding(case: Case, x: np.ndarray, labels: np.ndarray, initial: Parameters, found: tuple) -> float:
    """How far losses and parameters are, relatively and at most, from those in 80-bit numbers."""
    assert np.finfo(np.longdouble).eps < 1e-18, "this machine has no extended precision: use an x86"
    wide = [value.astype(np.longdouble) for value in initial]
    exact = train_numpy(case, x.astype(np.longdouble), labels, wide)
    return max(relative_difference(*pair) for pair in zip(found, exact))


def run(case: Case, seed: int, quiet: bool = False) -> Case | None:
    """The case with its losses and parameters, or nothing if a check fails."""
    x, labels, initial = problem(seed)
    losses, trajectory, pre_activations = train_torch(case, x, labels, initial)
    numpy_losses, numpy_trajectory = train_numpy(case, x, labels, initial)
    active = pre_activations > 0
    checks = {
        "margin": float(np.abs(pre_activations).min()),
        "dead": int(np.sum(~active.any(axis=1))),
        "last bit": last_bit(case, x, labels, initial, numpy_trajectory),
        "4 x rounding": 4 * rounding(case, x, labels, initial, (losses, trajectory)),
        "numpy losses": relative_difference(numpy_losses, losses),
        "numpy parameters": relative_difference(numpy_trajectory, trajectory),
    }
    good = checks["margin"] > MARGIN and checks["dead"] == 0
    good = good and all(checks[name] <= TOLERANCE for name in list(checks)[2:])
    if not quiet:
        switches = int(np.sum(active[1:] != active[:-1]))
        print(f"{case['case']:<20} loss {losses[0]:.4f} -> {losses[-1]:.4f}, ReLU switches {switches}; ", end="")
        print(", ".join(f"{name} {value:.2g}" for name, value in checks.items()), "" if good else "  FAILS")
    snapshots = {str(t): trajectory[t - 1] for t in SNAPSHOTS}
    return {**case, "losses": losses, "parameters_after": snapshots} if good else None


def to_json(value: Any, indent: str = "") -> str:
    """JSON with a line for each list of numbers; numbers by repr, so that they read back bit for bit."""
    nested = isinstance(value, list) and value and isinstance(value[0], (dict, list))
    if not isinstance(value, dict) and not nested:
        return json.dumps(value, allow_nan=False)
    inner = indent + "  "
    if nested:
        items = [to_json(item, inner) for item in value]
    else:
        items = [f"{json.dumps(key)}: {to_json(item, inner)}" for key, item in value.items()]
    opening, closing = "[]" if nested else "{}"
    return f"{opening}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{closing}"


def search(seeds: int) -> None:
    for seed in range(seeds):
        if all(run(case, seed, quiet=True) for case in CASES):
            print(seed, flush=True)


def write(path: Path) -> None:
    cases = [run(case, SEED) for case in CASES]
    if not all(cases):
        sys.exit(
            f"no file written: margin must exceed {MARGIN:.0e}, dead be 0, and the differences be at most "
            f"{TOLERANCE:.0e}. If only numpy fails, an update rule is wrong; else take another SEED (--search)."
        )
    x, labels, initial = problem(SEED)
    golden = {
        "torch": torch.__version__, "layers": LAYERS, "x": x.tolist(), "labels": labels.tolist(),
        "initial": flatten(initial), "cases": cases,
    }
    path.write_text(to_json(golden) + "\n")
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes PyTorch's golden values for the optimizers.")
    parser.add_argument("--search", type=int, metavar="SEEDS", help="name the seeds below SEEDS that pass")
    arguments = parser.parse_args()
    if arguments.search is not None:
        search(arguments.search)
    else:
        write(Path(__file__).with_suffix(".json"))


if __name__ == "__main__":
    main()
