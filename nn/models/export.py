#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Save the weights of a PyTorch CIFAR ResNet as a safetensors file that fhola loads.

From Python, with a network or a state dict in memory:

    from export import save
    save("mine.safetensors", net.state_dict(), mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), classes=names)

From the shell, with a file that torch.save wrote:

    python3 export.py mine.pth mine.safetensors --mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616 --classes names.txt

Tensors may be PyTorch's, numpy's, or (shape, list of numbers) pairs; torch and numpy are needed only for what they hold.
"""
import argparse
import array
import json
import os
import struct
import sys

COUNTER = "num_batches_tracked"  # batch norm counts batches in training; the network does not need it


def tensor_bytes(tensor):
    """Shape and little-endian float32 bytes of a tensor."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().float().contiguous().numpy()
    if hasattr(tensor, "astype"):
        return list(tensor.shape), tensor.astype("<f4").tobytes()
    shape, values = tensor
    numbers = array.array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return list(shape), numbers.tobytes()


def write_safetensors(path, tensors, metadata):
    """Write {name: tensor} and {key: string} in the safetensors format: the length of a JSON header, the header, the tensors' bytes."""
    header, parts, at = {"__metadata__": metadata} if metadata else {}, [], 0
    for name, tensor in tensors.items():
        shape, content = tensor_bytes(tensor)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(content)]}
        parts.append(content)
        at += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)
    os.replace(path + ".part", path)


def read_safetensors(path):
    """{name: (shape, numbers)} of a file of float32 tensors."""
    with open(path, "rb") as file:
        content = file.read()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = array.array("f", content[start + begin:start + end])
        if sys.byteorder == "big":
            values.byteswap()
        tensors[name] = entry["shape"], values
    return tensors


def save(path, state, mean=None, std=None, classes=None, **further):
    """Save a state dict. mean and std: by which pixels in [0, 1] were normalised in training; classes: names in the order of the labels;
    further: any other metadata, such as test_accuracy, activation where it is not ReLU, or batch_norm_epsilon where it is not 1e-5. fhola
    asks for what is left out of mean, std and classes."""
    metadata = {key: str(value) for key, value in further.items()}
    for key, value in (("mean", mean), ("std", std)):
        if value is not None:
            metadata[key] = json.dumps([float(v) for v in value])
    if classes is not None:
        metadata["classes"] = json.dumps(list(classes))
    write_safetensors(path, {name: tensor for name, tensor in state.items() if not name.endswith(COUNTER)}, metadata)


def numbers(text):
    return [float(part) for part in text.split(",")]


def names(text):
    if "," in text:
        return text.split(",")
    with open(text, encoding="utf-8") as file:
        return file.read().splitlines()


def load_state(path):
    """The state dict in a file of torch.save: alone, in a checkpoint under a usual key, or of a whole network."""
    import torch
    content = torch.load(path, map_location="cpu")
    for key in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(content, dict) and key in content:
            content = content[key]
    return content.state_dict() if hasattr(content, "state_dict") else content


def main():
    parser = argparse.ArgumentParser(description="Save a PyTorch state dict as a safetensors file that fhola loads.")
    parser.add_argument("state", help="file written by torch.save")
    parser.add_argument("output", help="safetensors file to write")
    parser.add_argument("--mean", type=numbers, help="R,G,B: mean of pixels in [0, 1] used in training")
    parser.add_argument("--std", type=numbers, help="R,G,B: their deviation")
    parser.add_argument("--classes", type=names, help="names separated by commas, or a file with one name a line")
    parser.add_argument("--activation", help="gelu, silu or another that fhola knows, if not relu")
    parser.add_argument("--bn-eps", type=float, help="what batch norm adds to variances, if not 1e-5")
    arguments = parser.parse_args()
    further = {"activation": arguments.activation, "batch_norm_epsilon": arguments.bn_eps}
    further = {key: value for key, value in further.items() if value is not None}
    save(arguments.output, load_state(arguments.state), arguments.mean, arguments.std, arguments.classes, **further)


if __name__ == "__main__":
    main()
