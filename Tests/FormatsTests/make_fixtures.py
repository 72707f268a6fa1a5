"""Writes Fixtures/: files as NumPy, safetensors and PyTorch write them.

    python make_fixtures.py        (with numpy, safetensors and torch; the tests need none of them)
"""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch
from torch import nn

fixtures = Path(__file__).resolve().parent / "Fixtures"
fixtures.mkdir(exist_ok=True)
torch.manual_seed(0)

names = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


def numbers(dtype, shape=(2, 3)):
    """-2, -1, 0, 1 ... or what the dtype has of them."""
    values = np.arange(int(np.prod(shape))).reshape(shape)
    if dtype == "bool":
        return values % 2 == 1
    if dtype.startswith("u"):
        return values.astype(dtype)
    return (values - 2).astype(dtype) if dtype.startswith("i") else ((values - 2) / 4).astype(dtype)


# safetensors: every dtype, empty arrays, scalars, names that need escapes, metadata.
arrays = {f"of_{name}": torch.from_numpy(numbers(name)) for name in names}
arrays["of_bfloat16"] = torch.tensor(numbers("float32")).bfloat16()
arrays["scalar"] = torch.tensor(7.5)
arrays["empty"] = torch.zeros(2, 0, 3)
arrays['"quoted"\\ \n\x01 é 🙂'] = torch.tensor([1, 2])
save_torch(arrays, fixtures / "all.safetensors")
save_torch({"x": torch.arange(3.0)}, fixtures / "metadata.safetensors", metadata={"format": "pt"})
save_file({}, fixtures / "empty.safetensors")
save_file(
    {"u": np.arange(3, dtype=np.uint16), "x": np.arange(3, dtype=np.float32)},
    fixtures / "unsigned.safetensors",
)

# A state dict of a LeNet with batch normalisation, and what it makes of an image.


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.norm = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 5)
        self.head = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.norm(self.conv1(x))), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2).flatten(1)
        return self.head(x)


model = LeNet()
model(torch.randn(4, 1, 28, 28))
model.eval()
save_torch(model.state_dict(), fixtures / "lenet.safetensors")
image = torch.linspace(-1, 1, 784).reshape(1, 1, 28, 28)
with torch.no_grad():
    save_torch({"scores": model(image)}, fixtures / "lenet_scores.safetensors")

# .npy: every dtype in both orders of bytes and of elements, and every version of the header.
for name in names:
    np.save(fixtures / f"{name}.npy", numbers(name))
    array = np.asfortranarray(numbers(name))
    if array.dtype.itemsize > 1:
        array = array.astype(array.dtype.newbyteorder(">"))
    np.save(fixtures / f"{name}_other.npy", array)
for version in [(2, 0), (3, 0)]:
    with open(fixtures / f"version{version[0]}.npy", "wb") as file:
        npy.write_array(file, numbers("float32"), version=version)
np.save(fixtures / "scalar.npy", np.float64(2.5))
np.save(fixtures / "empty.npy", np.zeros((0, 3), np.float32))
np.save(fixtures / "vector.npy", np.arange(5))
np.save(fixtures / "cube.npy", np.asfortranarray(numbers("float32", (2, 3, 4))))

# .npy: what tensors cannot hold.
refused = {
    "objects": np.array([None, 1], dtype=object),
    "strings": np.array(["a", "bc"]),
    "bytes": np.array([b"a", b"bc"]),
    "structured": np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4", (2,))]),
    "complex": np.zeros(2, np.complex64),
    "uint32": np.arange(2, dtype=np.uint32),
    "raw": np.zeros(2, "V2"),
    "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
    "long": np.zeros(2, np.longdouble),
}
for name, array in refused.items():
    np.save(fixtures / f"refused_{name}.npy", array)

# .npz: stored, compressed, without sizes of 64 bits, and with sizes behind the data.
arrays = {"a": numbers("float32"), "b.weight": numbers("int64", (4,)), "c/é": np.float32(1.5)}
np.savez(fixtures / "stored.npz", **arrays)
np.savez_compressed(fixtures / "compressed.npz", **arrays, zeros=np.zeros(40_000, np.float32))


def archive(path, method, stream):
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            file.writestr(zipfile.ZipInfo(name + ".npy"), buffer.getvalue(), method)
    if path:
        path.write_bytes(stream.getvalue())


class Pipe(io.BytesIO):
    """A stream that cannot go back, so that sizes follow the data."""

    def seekable(self):
        return False

    def seek(self, *_):
        raise OSError

    def tell(self):
        raise OSError


archive(fixtures / "plain.npz", zipfile.ZIP_DEFLATED, io.BytesIO())
archive(fixtures / "streamed.npz", zipfile.ZIP_DEFLATED, Pipe())
