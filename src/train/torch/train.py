"""Trains a perceptron with an optimizer of torch.optim, on batches that are handed over: the same start, the same images
in the same order, the same learning rates as another program's, so that their objectives can be compared.

usage: python3 -c "$(cat train.py)" < WORK

Says on standard output, a line of JSON each: {"torch": version} at once; then, if there is work, {"epoch": {...}} after each
epoch, or {"diverged": {...}} where the loss is no longer finite, and ends. WORK is a line of JSON (pixels, layers,
optimizer, constants, weight_decay, tests, threads), then numbers of the machine's byte order: float32 parameters in the
order of the network's, test images, test labels; and of each step its number of images and whether it is its
epoch's last (32-bit integers), its learning rate (float64), its images and labels (float32). Needs nothing but PyTorch.
Exit status 3: there is no PyTorch.
"""

import json
import math
import struct
import sys
import time

try:
    import torch
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

WORK = sys.stdin.buffer


def say(**what):
    print(json.dumps(what), flush=True)


def floats(*shape):
    """The next numbers of the work; the other program has left where there are not as many."""
    count = math.prod(shape)
    data = bytearray(4 * count)
    if WORK.readinto(data) < len(data):
        sys.exit(0)
    return torch.frombuffer(data, dtype=torch.float32).reshape(shape)


def network(layers):
    """Of layers such as ["Linear", 784, 10]: a module's class and arguments."""
    net = torch.nn.Sequential(*(getattr(torch.nn, name)(*arguments) for name, *arguments in layers))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(floats(*parameter.shape))
    return net


# The rules of the other program by its names, with its constants; the learning rate is set at each step.
RULES = {
    "adagrad": lambda net, epsilon: torch.optim.Adagrad(net, lr=0.0, eps=epsilon),
    "rmsprop": lambda net, rho, epsilon: torch.optim.RMSprop(net, lr=0.0, alpha=rho, eps=epsilon),
    "adam": lambda net, beta1, beta2, epsilon: torch.optim.Adam(net, lr=0.0, betas=(beta1, beta2), eps=epsilon),
    "sgd": lambda net, momentum: torch.optim.SGD(net, lr=0.0, momentum=momentum),
    "adadelta": lambda net, rho, epsilon: torch.optim.Adadelta(net, lr=0.0, rho=rho, eps=epsilon),
    "nesterov": lambda net, momentum: torch.optim.SGD(net, lr=0.0, momentum=momentum, nesterov=momentum != 0.0),
}


def place(net):
    for name, parameter in net.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"the parameter {name}"
    return "the loss"


def evaluate(net, images, labels):
    """Mean loss and share of correct predictions."""
    loss, correct = 0.0, 0
    with torch.no_grad():
        for some, true in zip(images.split(1000), labels.split(1000)):
            logits = net(some)
            loss += torch.nn.functional.cross_entropy(logits, true, reduction="sum").item()
            correct += (logits.argmax(1) == true).sum().item()
    return loss / len(labels), correct / len(labels)


def main():
    say(torch=torch.__version__)
    line = WORK.readline()
    if not line:
        return
    work = json.loads(line)
    torch.set_num_threads(work["threads"])
    pixels = work["pixels"]
    net = network(work["layers"])
    optimizer = RULES[work["optimizer"]](net.parameters(), **work["constants"])
    tests, true = floats(work["tests"], pixels), floats(work["tests"]).long()
    step, loss_sum, correct, count, seconds = 0, 0.0, 0, 0, 0.0
    while head := WORK.read(16):
        if len(head) < 16:
            return
        batch, is_last, rate = struct.unpack("=IId", head)
        images, labels = floats(batch, pixels), floats(batch).long()
        step += 1
        begin = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        logits = net(images)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss_sum += loss.item() * batch
        correct += (logits.argmax(1) == labels).sum().item()
        count += batch
        if not math.isfinite(loss_sum):
            return say(diverged={"step": step, "place": place(net)})
        loss.backward()
        if work["weight_decay"]:
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.mul_(1 - rate * work["weight_decay"])
        optimizer.step()
        seconds += time.perf_counter() - begin
        if is_last:
            test_objective, test_accuracy = evaluate(net, tests, true)
            if not math.isfinite(test_objective):
                return say(diverged={"step": step, "place": place(net)})
            say(
                epoch={
                    "objective": loss_sum / count,
                    "train_accuracy": correct / count,
                    "test_objective": test_objective,
                    "test_accuracy": test_accuracy,
                    "seconds": seconds,
                }
            )
            loss_sum, correct, count, seconds = 0.0, 0, 0, 0.0


main()
