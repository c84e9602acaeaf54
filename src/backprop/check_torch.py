"""PyTorch's values and gradients of z = 1/2 ||Y - Wn relu(... relu(W1 X))||^2, in float64.

usage: python3 check_torch.py INPUT OUTPUT

INPUT is a safetensors file with float64 matrices X.v, Y.v, W1.v, W2.v, ...; OUTPUT gets X.v, Y.v, W1.v, W1.g, ..., V1.v,
V1.g, ..., D.v, D.g, z.v, z.g: V1 = W1 X, V2 = relu(V1), V3 = W2 V2, ..., D = Y - V(2n-1). Needs nothing but PyTorch.
Exit status 3: there is no PyTorch.
"""

import json
import struct
import sys

try:
    import torch
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        numbers = struct.unpack(f"<{(end - begin) // 8}d", data[begin:end])
        tensors[name] = torch.tensor(numbers, dtype=torch.float64).reshape(entry["shape"])
    return tensors


def write(path, tensors):
    header, data = {"__metadata__": {"format": "pt", "torch": torch.__version__}}, b""
    for name, tensor in sorted(tensors.items()):
        numbers = tensor.detach().flatten().tolist()
        piece = struct.pack(f"<{len(numbers)}d", *numbers)
        header[name] = {
            "dtype": "F64",
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(piece)],
        }
        data += piece
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


def main(source, target):
    given = read(source)
    x, y = given["X.v"], given["Y.v"]
    nodes = {}
    while f"W{len(nodes) + 1}.v" in given:
        layer = len(nodes) + 1
        nodes[f"W{layer}"] = given[f"W{layer}.v"].requires_grad_()
    weights = list(nodes.values())
    hidden = x
    for layer, weight in enumerate(weights, 1):
        hidden = nodes[f"V{2 * layer - 1}"] = weight @ hidden
        if layer < len(weights):
            hidden = nodes[f"V{2 * layer}"] = torch.relu(hidden)
    nodes["D"] = y - hidden
    nodes["z"] = 0.5 * (nodes["D"] ** 2).sum()
    for node in nodes.values():
        node.retain_grad()
    nodes["z"].backward()
    results = {"X.v": x, "Y.v": y}
    for name, node in nodes.items():
        results[f"{name}.v"], results[f"{name}.g"] = node, node.grad
    write(target, results)


if __name__ == "__main__":
    main(*sys.argv[1:])
