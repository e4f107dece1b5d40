#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Weights from elsewhere: nn/models/export.py writes files that load, without metadata too, under other names, and with PyTorch (if it is
# installed) of a network that then gives the same classes.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$top_srcdir/nn/models:$top_srcdir/tests
export PYTHONDONTWRITEBYTECODE PYTHONPATH

python=
for candidate in /usr/bin/python3 python3; do
    if [ -z "$python" ] && "$candidate" -c pass 2> /dev/null; then python=$candidate; fi
done
if [ -z "$python" ]; then
    echo "SKIP: no python3 (Debian: apt-get install python3)"
    exit 77
fi
cd "$work"

# exact WEIGHTS [OPTION...]: accuracy of the exact network on batch.bin.
exact()
{
    "$fhola" eval "$@" --json > out 2> err || fail "fhola eval $*: $(cat err)"
    sed -n 's/.*"exact_accuracy": \([0-9.]*\).*/\1/p' out
}

# ---- the bundled network as somebody else's file: other names, no metadata
"$python" - << 'END'
import os
from export import read_safetensors, save
from foreign import bundled_batch, rename
folder = os.environ["top_srcdir"]
tensors = read_safetensors(folder + "/nn/models/resnet20.safetensors")
save("foreign.safetensors", rename(tensors))
save("complete.safetensors", rename(tensors), mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), classes=list("abcdefghij"),
     test_accuracy=12.5)
bundled_batch(folder + "/nn/data", "batch.bin")
with open("names.txt", "w") as file:
    file.write("\r\n".join("plane car bird cat deer dog frog horse ship lorry".split()) + "\r\n")
END
code=0
"$fhola" eval ./foreign.safetensors batch.bin > out 2> err || code=$?
[ $code -eq 7 ] || fail "without mean and std: exit code $code, not 7"
grep -q 'foreign.safetensors: the metadata has no "mean" and none was given: add --mean R,G,B --std R,G,B' err || fail "unhelpful: $(cat err)"
[ "$(exact ./foreign.safetensors batch.bin --mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616)" = 100 ] || fail 'foreign weights miss a picture'
[ "$(exact ./complete.safetensors batch.bin)" = 100 ] || fail 'weights with metadata miss a picture'
[ "$(exact ./foreign.safetensors batch.bin --mean 1,0,1 --std 0.01,0.01,0.01)" != 100 ] || fail '--mean and --std change nothing'

# The plan of the bundled network belongs to these weights too, and the names of the classes reach the client.
"$fhola" compile ./foreign.safetensors "$top_srcdir/nn/models/resnet20.plan" -o x.fhola --mean 0.4914,0.4822,0.4465 \
    --std 0.2470,0.2435,0.2616 --classes names.txt > out || fail 'foreign weights do not compile'
"$fhola" inspect x.client > out
grep -q 'plane, car, bird, cat, deer, dog, frog, horse, ship, lorry$' out || fail "names of the client: $(cat out)"
"$fhola" inspect ./complete.safetensors --json > out
grep -q '"test_accuracy": 12.5, "activations": 19, "has_mean_std": true' out || fail "metadata: $(cat out)"
"$fhola" inspect ./foreign.safetensors --json > out
grep -q '"test_accuracy": null, "activations": 19, "has_mean_std": false' out || fail "no metadata: $(cat out)"
echo 'export.py without PyTorch: passed'

# ---- PyTorch's own
if ! "$python" -c 'import numpy, torch' 2> /dev/null; then
    echo 'export.py with PyTorch: left out, python3-torch and python3-numpy are not installed'
    exit 0
fi
for kind in 'down relu' 'pad relu' 'down gelu'; do
    # shellcheck disable=SC2086 # two words
    "$python" - $kind << 'END'
import sys
import torch
from foreign import random_batch
from train import Data, ResNet
torch.manual_seed(3)
net = ResNet(8, 10, *sys.argv[1:])
random_batch("random.bin", 40)
pictures, labels = Data(".").read(["random.bin"])
net.train()
with torch.no_grad():
    for _ in range(20):
        net(pictures)  # batch norm statistics
    net.linear.weight.mul_(10)
net.eval()
with torch.no_grad():
    scores = net(pictures)
best = scores.topk(2, 1).values
clear = (best[:, 0] - best[:, 1] > 1e-3).tolist()
with open("random.bin", "rb") as file:
    records = file.read()
with open("labelled.bin", "wb") as file:
    for i, label in enumerate(scores.argmax(1).tolist()):
        if clear[i]:
            file.write(bytes([label]) + records[3073 * i + 1:3073 * (i + 1)])
assert sum(clear) > 20 and len(set(scores.argmax(1).tolist())) > 1
torch.save({"state_dict": torch.nn.DataParallel(net).state_dict()}, "mine.pth")
END
    "$python" "$top_srcdir/nn/models/export.py" mine.pth mine.safetensors --mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616 \
        --activation "${kind#* }"
    [ "$(exact ./mine.safetensors labelled.bin)" = 100 ] || fail "a network of PyTorch ($kind) gives other classes here"
    "$python" "$top_srcdir/nn/models/export.py" mine.pth bare.safetensors
    bare=$(exact ./bare.safetensors labelled.bin --mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616)
    case $kind in
        *relu) [ "$bare" = 100 ] || fail "a network of PyTorch ($kind) without metadata gives other classes here" ;;
        *) [ "$bare" != 100 ] || fail "these pictures do not tell $kind from ReLU" ;;
    esac
done
echo 'export.py with PyTorch: passed'

# ---- the training script, for two steps
"$python" - << 'END'
from foreign import random_batch
for k in range(1, 6):
    random_batch(f"data_batch_{k}.bin", 52, k)
random_batch("test_batch.bin", 20, 6)
END
"$python" "$top_srcdir/nn/models/train.py" . 8 1 first.safetensors > out
grep -q '^epoch 1 of 1: loss [0-9.]*, test [0-9.]* %, [0-9]* s$' out || fail "train.py: $(cat out)"
"$fhola" inspect ./first.safetensors --json > out
grep -q '"longest_path": 8, "class_count": 10, "test_accuracy": [0-9.]*, "activations": 7, "has_mean_std": true' out || fail "what train.py wrote: $(cat out)"

# Weights to start from: at rate 0 they stay, under another activation, which the file names.
"$python" "$top_srcdir/nn/models/train.py" . 8 1 second.safetensors --activation gelu --init first.safetensors --rate 0 --held-out 20 > out
grep -q '^epoch 1 of 1: loss [0-9.]*, held-out [0-9.]* %, [0-9]* s$' out || fail "train.py --held-out: $(cat out)"
grep -aq '"activation":"gelu"' second.safetensors || fail 'train.py --activation: the file does not name it'
"$python" - << 'END' || fail 'train.py --init does not start from the weights given'
from export import read_safetensors
first, second = (read_safetensors(f"{name}.safetensors") for name in ("first", "second"))
assert first.keys() == second.keys()
assert all(first[name] == second[name] for name in first if "running" not in name)
END

# Teachers: networks of other shapes are found in their files, and compute without batch norm what they did with it.
"$python" "$top_srcdir/nn/models/train.py" . 14 1 deeper.safetensors --shortcut pad --width 32 > out
"$python" "$top_srcdir/nn/models/train.py" . 8 1 student.safetensors --init first.safetensors --rate 0 \
    --teacher first.safetensors deeper.safetensors > out
grep -q '^epoch 1 of 1: loss [0-9.]*, test [0-9.]* %, [0-9]* s$' out || fail "train.py --teacher: $(cat out)"
grep -aq '"training":"1 epochs from first.safetensors, taught by first.safetensors and deeper.safetensors, ' student.safetensors ||
    fail 'train.py --teacher: the file does not name the teachers'
"$python" - << 'END' || fail 'train.py --teacher: a teacher is not the network of its file, or is not followed'
import math
import torch
from train import BATCH, TEACHERS_SHARE, TEMPERATURE, Data, ResNet, distance, load_teacher, load_weights, make_optimizer, train_epoch
data = Data(".")
pictures = data.read(data.test)[0]
for path, net in ("first", ResNet(8)), ("deeper", ResNet(14, shortcut="pad", channels=32)):
    load_weights(net, path + ".safetensors")
    teacher = load_teacher(path + ".safetensors", 10, "relu")
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in teacher.modules())
    with torch.no_grad():
        assert torch.allclose(net.eval()(pictures), teacher(pictures), rtol=1e-4, atol=1e-4)
# probabilities 1/4 and 3/4 after division by the temperature, taught 1/2 and 1/2
scores, taught = torch.tensor([[0, TEMPERATURE * math.log(3)]]), torch.zeros(1, 2)
assert abs(distance(scores, taught).item() - TEMPERATURE ** 2 * math.log(4 / 3) / 2) < 1e-5
assert distance(scores, scores).item() == 0
# A student that scores 0 everywhere follows the mean of two teachers: probability 3/12 for the first class and 1/12 for each other.
net = ResNet(8)
torch.nn.init.zeros_(net.linear.weight), torch.nn.init.zeros_(net.linear.bias)
first = 2 * TEMPERATURE * math.log(3) * torch.eye(10)[:1]
teachers = [lambda pictures: first.expand(len(pictures), 10), lambda pictures: torch.zeros(len(pictures), 10)]
loss = train_epoch(net, teachers, make_optimizer(net), torch.randn(BATCH, 3, 40, 40), torch.arange(BATCH) % 10, 0, 1, 0, False)
follow = TEMPERATURE ** 2 * (math.log(10 / 4) / 4 + 3 * math.log(10 / 12) / 4)
assert abs(loss - (1 - TEACHERS_SHARE) * math.log(10) - TEACHERS_SHARE * follow) < 1e-4
try:
    load_teacher("first.safetensors", 100, "relu")
    raise AssertionError("a teacher of other classes is taken")
except ValueError as error:
    assert "first.safetensors knows 10 classes, the data has 100" in str(error)
END

# CIFAR-100: two labels a record, the second one counts, and the last layer starts anew.
mkdir hundred
"$python" - << 'END'
from foreign import random_batch
random_batch("records.bin", 260, 7)
with open("records.bin", "rb") as file:
    records = file.read()
for name, first, end in ("train", 0, 240), ("test", 240, 260):
    with open(f"hundred/{name}.bin", "wb") as file:
        for i in range(first, end):
            file.write(bytes([i % 20, i % 100]) + records[3073 * i + 1:3073 * (i + 1)])
with open("hundred/fine_label_names.txt", "w") as file:
    file.writelines(f"class_{i}\n" for i in range(100))
END
"$python" "$top_srcdir/nn/models/train.py" hundred 8 1 hundred.safetensors --init first.safetensors --rate 0 > out
grep -q '^epoch 1 of 1: loss [0-9.]*, test [0-9.]* %, [0-9]* s$' out || fail "train.py, CIFAR-100: $(cat out)"
"$fhola" inspect ./hundred.safetensors --json > out
grep -q '"class_count": 100, "test_accuracy": [0-9.]*, "activations": 7, "has_mean_std": true' out || fail "CIFAR-100: $(cat out)"
grep -aq 'class_98.*class_99' hundred.safetensors || fail 'CIFAR-100: the file does not name the classes'
# 15 of the 20 records get the class that PyTorch finds
"$python" - << 'END'
import torch
from train import Data, ResNet, load_weights
net, data = ResNet(8, 100), Data("hundred")
load_weights(net, "hundred.safetensors")
with torch.no_grad():
    found = net.eval()(data.read(data.test)[0]).argmax(1).tolist()
with open("hundred/test.bin", "r+b") as file:
    for i, label in enumerate(found):
        file.seek(3074 * i + 1)
        file.write(bytes([label if i < 15 else (label + 1) % 100]))
END
[ "$(exact ./hundred.safetensors hundred/test.bin)" = 75 ] || fail "CIFAR-100: other classes than PyTorch's: $(cat out)"
"$python" - << 'END' || fail 'train.py --init for other classes does not keep the other layers'
from export import read_safetensors
first, hundred = (read_safetensors(f"{name}.safetensors") for name in ("first", "hundred"))
assert first.keys() == hundred.keys()
assert all((first[name] == hundred[name]) == (not name.startswith("linear")) for name in first if "running" not in name)
END
echo 'train.py: passed'
