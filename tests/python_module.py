# SPDX-License-Identifier: Apache-2.0
"""What tests/python_module.sh runs: the module fhola, in a folder with small.fhola, small.client and small.onnx."""
import array
import gc
import threading
import typing
import unittest

import fhola

try:
    import torch
except ImportError:
    torch = None


def pictures(count, values=3072):
    return array.array("d", ((37 * i % 251) / 251 for i in range(count * values)))


class Encrypted(unittest.TestCase):
    def test_a_picture(self):
        """Scores of the encrypted network are those of the polynomial one."""
        owner = fhola.Owner("small.client")
        self.assertEqual((owner.shape, owner.classes), ((3, 32, 32), list("abcdefghij")))
        picture = pictures(1)
        with self.assertRaises(fhola.Error):
            owner.encrypt(picture)  # no key yet
        owner.generate("secret.key", "eval.keys")
        with self.assertRaisesRegex(fhola.Error, "secret.key"):
            owner.generate("secret.key", "eval.keys")
        owner.close()
        with self.assertRaises(ValueError):
            owner.encrypt(picture)
        owner = fhola.Owner(secret="secret.key")
        server = fhola.Server("small.fhola", "eval.keys")
        encrypted = owner.encrypt(picture)
        result = server.infer(encrypted)
        scores = owner.decrypt(result)
        expected = fhola.Network("small.fhola").evaluate(picture).scores.tolist()[0]
        spread = max(expected) - min(expected)
        self.assertEqual((scores.typecode, len(scores)), ("d", 10))
        for score, known in zip(scores, expected):
            self.assertAlmostEqual(score, known, delta=0.02 * spread)
        for wrong in (encrypted[:1000], encrypted[:-1], b"nonsense", result):
            with self.assertRaises(fhola.Error) as caught:
                server.infer(wrong)
            self.assertNotEqual(caught.exception.status, 0)
        with self.assertRaises(fhola.Error):
            owner.decrypt(encrypted)
        for wrong in (picture[1:], picture + picture, []):
            with self.assertRaises(ValueError):
                owner.encrypt(wrong)
        with self.assertRaisesRegex(fhola.Error, "1.5"):
            owner.encrypt(array.array("d", [1.5]) * 3072)
        with self.assertRaises(fhola.Error):
            fhola.Server("small.fhola", "secret.key")


class Plain(unittest.TestCase):
    def test_kinds_of_arrays(self):
        with fhola.Network("small.fhola") as network:
            raw = bytes(37 * i % 251 for i in range(6144))
            numbers = [byte / 255 for byte in raw]
            expected = network.evaluate(numbers).scores
            self.assertEqual((expected.shape, expected.format), ((2, 10), "f"))
            nested = [[numbers[:3072][i:i + 32] for i in range(0, 3072, 32)], numbers[3072:]]
            apart = memoryview(bytes(value for byte in raw for value in (byte, 7)))[::2]
            for same in (raw, array.array("f", numbers), array.array("d", numbers), nested, memoryview(raw).cast("B", (2, 3, 32, 32)), apart):
                self.assertEqual(network.evaluate(same).scores.tolist(), expected.tolist())
            for wrong in (numbers[1:], [], array.array("i", range(6144))):
                with self.assertRaises(ValueError):
                    network.evaluate(wrong)
            self.assertNotEqual(network.evaluate(raw, exact=True).scores.tolist(), expected.tolist())

    def test_labels(self):
        network = fhola.Network("small.fhola")
        rows = network.evaluate(pictures(5)).scores.tolist()
        best = [row.index(max(row)) for row in rows]
        self.assertEqual(network.evaluate(pictures(5), best).right, 5)
        self.assertEqual(network.evaluate(pictures(5), [(label + 1) % 10 for label in best]).right, 0)
        with self.assertRaises(ValueError):
            network.evaluate(pictures(5), [0])

    def test_threads(self):
        network = fhola.Network("small.fhola")
        expected, found = network.evaluate(pictures(3)).scores.tolist(), []
        threads = [threading.Thread(target=lambda: found.append(network.evaluate(pictures(3)).scores.tolist())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [expected] * 4)

    def test_errors(self):
        with self.assertRaisesRegex(fhola.Error, "nowhere"):
            fhola.Network("nowhere")
        with self.assertRaises(ValueError):
            fhola.Owner()
        gc.collect()  # objects that were never opened


class Program(unittest.TestCase):
    def test_build(self):
        labels = [i % 4 for i in range(40)]
        network = fhola.build("small.onnx", "built.fhola", pictures(40, 784), (1, 28, 28), labels=labels, depth=9)
        self.assertEqual((network.shape, len(network.classes)), ((1, 28, 28), 4))
        self.assertEqual(network.evaluate(pictures(40, 784), labels).scores.shape, (40, 4))
        self.assertEqual(fhola.Owner("built.client").shape, (1, 28, 28))
        with self.assertRaisesRegex(fhola.Error, "--nothing"):
            fhola.build("small.onnx", "other.fhola", pictures(40, 784), (1, 28, 28), depth=9, plan=["--nothing"])

    @unittest.skipUnless(torch, "not tried: no PyTorch")
    def test_export(self):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 5))
        fhola.export(net, "torch.onnx", (3, 32, 32))
        self.assertTrue(net.training)
        batch = torch.rand(40, 3, 32, 32)
        network = fhola.build("torch.onnx", "torch.fhola", batch, (3, 32, 32), labels=torch.arange(40) % 5, depth=3)
        scores = torch.tensor(network.evaluate(batch, exact=True).scores.tolist())
        self.assertTrue(torch.allclose(scores, net(batch), atol=1e-4))


class Documented(unittest.TestCase):
    def test_all(self):
        """Everything public has a docstring and type hints."""
        for name in fhola.__all__:
            thing = getattr(fhola, name)
            self.assertTrue(thing.__doc__, name)
            members = vars(thing).items() if isinstance(thing, type) else [(name, thing)]
            for key, member in members:
                if callable(member) and not key.startswith("_"):
                    self.assertTrue(member.__doc__, f"{name}.{key}")
                    self.assertIn("return", typing.get_type_hints(member), f"{name}.{key}")


if __name__ == "__main__":
    unittest.main()
