#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train a CIFAR ResNet of depth 6n+2 on the processor and save it for fhola: how the bundled networks were made.

    python3 train.py DATA DEPTH EPOCHS OUT.safetensors [--width W] [--activation relu|gelu] [--shortcut down|pad] [--init WEIGHTS]
        [--teacher WEIGHTS ...] [--rate R] [--bfloat16] [--held-out N]

DATA is the folder of CIFAR-10's binary version: data_batch_1.bin to data_batch_5.bin and test_batch.bin; or of CIFAR-100's, whose 100
fine classes are then learnt: train.bin, test.bin and fine_label_names.txt. Needs python3-torch and python3-numpy. After each epoch the
state goes to OUT.safetensors.checkpoint, from which a stopped training goes on.

With --init the training starts from weights that this script wrote instead of random ones, those of another activation too; a lower
--rate, the highest of the schedule, then loses less of them. Weights of a narrower network are widened: the wide network begins by
computing what the narrow one does (Chen, Goodfellow, Shlens, "Net2Net", ICLR 2016, section 2.2). Where the number of classes is another
one, the last layer starts anew.

With --teacher the training follows networks that this script wrote too, not labels alone: the mean of their scores says how alike two
classes are in a picture (Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2). They have the student's
activation and classes, and any depth and width. ResNet-32 and ResNet-20 as teachers of ResNet-32 take a third more time.

With --bfloat16 convolutions read numbers of 16 bits, 8 of them for the digits, and add up in float32; weights stay float32. A processor
with instructions for them (AVX-512 BF16) takes 0.6 of the time; without them it takes longer.

With --held-out N the last N training pictures are kept out of training and their accuracy is printed instead of the test pictures':
use that to choose between settings. The test pictures are for reporting only.
"""
import argparse
import math
import os
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export import COUNTER, read_safetensors, save

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}
BATCH = 128
WARM_UP = 0.15  # share of the training in which the rate rises
WEIGHT_DECAY = 5e-4
SHIFT = 4  # pixels a picture is moved at most
TEMPERATURE = 4  # by which scores are divided where a teacher's are followed
TEACHERS_SHARE = 0.9  # of the loss


def convolution(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, shortcut, activation):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = convolution(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.stride, self.outputs, self.activation = stride, outputs, ACTIVATIONS[activation]
        self.down = None
        if stride != 1 and shortcut == "down":
            self.down = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def branch(self, x):
        if self.stride == 1:
            return x
        if self.down is not None:
            return self.down(x)
        quarter = self.outputs // 4
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, quarter, quarter))

    def forward(self, x):
        inside = self.activation(self.bn1(self.conv1(x)))
        return self.activation(self.bn2(self.conv2(inside)) + self.branch(x))


class ResNet(nn.Module):
    def __init__(self, depth, classes=10, shortcut="down", activation="relu", channels=16):
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth {depth} is not 6n+2")
        self.conv1, self.bn1, self.activation = convolution(3, channels, 3), nn.BatchNorm2d(channels), ACTIVATIONS[activation]
        for stage in range(3):
            width = channels << stage
            first = Block(width // 2 if stage else width, width, 2 if stage else 1, shortcut, activation)
            rest = [Block(width, width, 1, shortcut, activation) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(4 * channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x):
        x = self.activation(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class Data:
    """A folder of CIFAR-10's or CIFAR-100's binary version: records of a picture's bytes behind its labels, the last of which counts."""

    def __init__(self, folder):
        self.folder, hundred = folder, os.path.exists(os.path.join(folder, "train.bin"))
        if hundred:
            self.mean, self.std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
            self.training, self.test = ["train.bin"], ["test.bin"]
            with open(os.path.join(folder, "fine_label_names.txt"), encoding="ascii") as names:
                self.classes = tuple(names.read().split())
        else:
            self.mean, self.std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
            self.training, self.test = [f"data_batch_{k}.bin" for k in range(1, 6)], ["test_batch.bin"]
            self.classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
        self.labels = 2 if hundred else 1

    def read(self, files):
        """Normalised pictures and labels."""
        size = self.labels + 3 * 32 * 32
        records = numpy.concatenate([numpy.fromfile(os.path.join(self.folder, name), numpy.uint8).reshape(-1, size) for name in files])
        labels = torch.from_numpy(records[:, self.labels - 1].astype("int64"))
        pictures = torch.from_numpy(records[:, self.labels:].reshape(-1, 3, 32, 32).copy()).float() / 255
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (pictures - mean) / std, labels


def shift_and_flip(padded, chosen, generator):
    """The chosen pictures, each moved by up to SHIFT pixels and flipped half of the time."""
    count, span = len(chosen), torch.arange(32)
    down, right = (torch.randint(0, 2 * SHIFT + 1, (count,), generator=generator) for _ in range(2))
    flip = torch.rand(count, generator=generator) < 0.5
    rows, columns = span + down[:, None], span + right[:, None]
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    pictures = padded[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return pictures.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def accuracy(net, pictures, labels):
    net.eval()
    with torch.no_grad():
        right = sum((net(part).argmax(1) == label).sum().item() for part, label in zip(pictures.split(500), labels.split(500)))
    net.train()
    return 100 * right / len(labels)


def rate(step, steps, peak):
    """Linear rise to the peak, then half a cosine down to 0."""
    warm = WARM_UP * steps
    if step < warm:
        return peak * step / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def make_optimizer(net):
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0}]
    return torch.optim.SGD(groups, lr=0, momentum=0.9, nesterov=True)


def distance(scores, taught):
    """Kullback-Leibler divergence of the softened probabilities, times the square that keeps gradients at the scale of labels."""
    softened = [F.log_softmax(values.float() / TEMPERATURE, 1) for values in (scores, taught)]
    return F.kl_div(*softened, reduction="batchmean", log_target=True) * TEMPERATURE ** 2


def train_epoch(net, teachers, optimizer, padded, labels, epoch, epochs, peak, bfloat16):
    """One pass over the pictures in an order that depends on the epoch alone; returns the mean loss."""
    generator = torch.Generator().manual_seed(1000 + epoch)
    order, batches, total = torch.randperm(len(labels), generator=generator), len(labels) // BATCH, 0.0
    for k in range(batches):
        chosen = order[k * BATCH:(k + 1) * BATCH]
        for group in optimizer.param_groups:
            group["lr"] = rate(epoch * batches + k, epochs * batches, peak)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            pictures = shift_and_flip(padded, chosen, generator)
            scores = net(pictures)
            with torch.no_grad():
                taught = [teacher(pictures) for teacher in teachers]
        loss = F.cross_entropy(scores.float(), labels[chosen])
        if taught:
            loss = (1 - TEACHERS_SHARE) * loss + TEACHERS_SHARE * distance(scores, sum(taught) / len(taught))
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / batches


def widen(narrow, shape):
    """A tensor for a network with k times the channels: every channel k times, one copy behind the other. Weights that read the copies
    of a channel are random shares of the weight that read the channel, so that copies learn different things."""
    outputs = shape[0] // narrow.shape[0] if narrow.ndim else 1
    wide = narrow.repeat_interleave(outputs, 0) if outputs > 1 else narrow
    copies = shape[1] // narrow.shape[1] if narrow.ndim > 1 else 1
    if copies > 1:
        shares = torch.rand(*wide.shape[:2], copies, *wide.shape[2:])
        wide = (wide.unsqueeze(2) * shares / shares.sum(2, keepdim=True)).flatten(1, 2)
    return wide


def load_weights(net, path):
    """Fill the network from a file of save(), widened where the network has more channels. What the file does not have of the network
    is refused by name, and the other way round; the number of batches that batch norm has seen, which the file leaves out, starts
    anew, and so does a last layer for other classes."""
    own = net.state_dict()
    state = {name: torch.tensor(values).view(shape) for name, (shape, values) in read_safetensors(path).items()}
    if "linear.bias" in state and state["linear.bias"].shape != own["linear.bias"].shape:
        state.update({name: own[name] for name in ("linear.weight", "linear.bias") if name in state})
    state = {name: widen(value, own[name].shape) if name in own else value for name, value in state.items()}
    counters = {name: value for name, value in own.items() if name.endswith(COUNTER)}
    net.load_state_dict({**counters, **state})


def fold_batch_norm(module):
    """The same function without batch norm, which is linear where its statistics are fixed."""
    pairs = [(f"conv{k}", f"bn{k}") for k in (1, 2)] + [("0", "1")]
    for convolve, norm in pairs:
        if isinstance(getattr(module, norm, None), nn.BatchNorm2d):
            setattr(module, convolve, fuse_conv_bn_eval(getattr(module, convolve), getattr(module, norm)))
            setattr(module, norm, nn.Identity())
    for child in module.children():
        fold_batch_norm(child)


def load_teacher(path, classes, activation):
    """The network of a file of save(), which is no longer trained."""
    names = read_safetensors(path)
    if names["linear.bias"][0] != [classes]:
        raise ValueError(f"{path} knows {names['linear.bias'][0][0]} classes, the data has {classes}")
    depth = 6 * len({name.split(".")[1] for name in names if name.startswith("layer1.")}) + 2
    shortcut = "down" if any(".down." in name for name in names) else "pad"
    teacher = ResNet(depth, classes, shortcut, activation, names["conv1.weight"][0][0]).to(memory_format=torch.channels_last)
    load_weights(teacher, path)
    fold_batch_norm(teacher.eval())
    return teacher


def save_checkpoint(path, net, optimizer, epoch):
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, path + ".part")
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("depth", type=int)
    parser.add_argument("epochs", type=int)
    parser.add_argument("output")
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage (default 16)")
    parser.add_argument("--shortcut", choices=("down", "pad"), default="down", help="1x1 convolutions, or zero-padded channels")
    parser.add_argument("--activation", choices=tuple(ACTIVATIONS), default="relu")
    parser.add_argument("--init", metavar="WEIGHTS", help="start from the weights of this safetensors file")
    parser.add_argument("--teacher", nargs="+", default=[], metavar="WEIGHTS", help="follow the networks of these safetensors files too")
    parser.add_argument("--rate", type=float, default=0.2, help="highest learning rate (default 0.2)")
    parser.add_argument("--bfloat16", action="store_true", help="convolutions of 16-bit numbers")
    parser.add_argument("--held-out", type=int, default=0, metavar="N", help="judge by the last N training pictures, which are not trained on")
    a = parser.parse_args()

    torch.manual_seed(1)
    data = Data(a.data)
    pictures, labels = data.read(data.training)
    judged, judged_labels = (pictures[-a.held_out:], labels[-a.held_out:]) if a.held_out else data.read(data.test)
    if a.held_out:
        pictures, labels = pictures[:-a.held_out], labels[:-a.held_out]
    padded = F.pad(pictures, (SHIFT,) * 4)
    net = ResNet(a.depth, len(data.classes), a.shortcut, a.activation, a.width).to(memory_format=torch.channels_last)
    optimizer, checkpoint, first = make_optimizer(net), a.output + ".checkpoint", 0
    if a.init:
        load_weights(net, a.init)
    teachers = [load_teacher(path, len(data.classes), a.activation) for path in a.teacher]
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]

    for epoch in range(first, a.epochs):
        start = time.time()
        loss = train_epoch(net, teachers, optimizer, padded, labels, epoch, a.epochs, a.rate, a.bfloat16)
        score = accuracy(net, judged, judged_labels)
        print(f"epoch {epoch + 1} of {a.epochs}: loss {loss:.4f}, {'held-out' if a.held_out else 'test'} {score:.2f} %, "
              f"{time.time() - start:.0f} s", flush=True)
        save_checkpoint(checkpoint, net, optimizer, epoch + 1)
    begun = f" from {os.path.basename(a.init)}" if a.init else ""
    if a.teacher:
        begun += f", taught by {' and '.join(os.path.basename(path) for path in a.teacher)}"
    report = {} if a.held_out else {"test_accuracy": f"{accuracy(net, judged, judged_labels):.2f}"}
    save(a.output, net.state_dict(), data.mean, data.std, data.classes, architecture=f"resnet{a.depth}-cifar",
         activation=a.activation, training=f"{a.epochs} epochs{begun}, nn/models/train.py", **report)


if __name__ == "__main__":
    main()
