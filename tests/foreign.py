# SPDX-License-Identifier: Apache-2.0
"""What the tests of foreign weights make: tensors under other names, batches of pictures. Standard library only."""
import random

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def rename(tensors):
    """The names torch.nn.DataParallel and other implementations give."""
    return {"module." + name.replace(".down.", ".downsample.").replace("linear.", "fc."): tensor for name, tensor in tensors.items()}


def bundled_batch(folder, path):
    """The bundled pictures, one a class, as a batch."""
    with open(path, "wb") as batch:
        for label, name in enumerate(CLASSES):
            with open(f"{folder}/{name}.ppm", "rb") as file:
                pixels = file.read()[-3072:]
            batch.write(bytes([label]) + pixels[0::3] + pixels[1::3] + pixels[2::3])


def random_batch(path, count, seed=1):
    """Pictures of a random colour with random stripes."""
    numbers = random.Random(seed)
    with open(path, "wb") as batch:
        for _ in range(count):
            planes = bytearray()
            for _ in range(3):
                level, contrast, period = numbers.randrange(70, 185), numbers.randrange(10, 60), numbers.randrange(2, 9)
                across = numbers.random() < 0.5
                planes += bytes(level + (contrast if (x if across else y) // period % 2 else -contrast) + numbers.randrange(-5, 6)
                                for y in range(32) for x in range(32))
            batch.write(bytes([numbers.randrange(10)]) + planes)
