"""Writes Fixtures/: what PyTorch computes for layers, losses, optimisers and the training of LeNet.

    python make_fixtures.py        (with torch; the tests need neither Python nor torch)
"""

import gzip
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
here = Path(__file__).resolve().parent
fixtures = here / "Fixtures"
images_file = here.parents[1] / "Data/mnist/t10k-images-idx3-ubyte.gz"
labels_file = here.parents[1] / "Data/mnist/t10k-labels-idx1-ubyte.gz"


def array(tensor):
    tensor = tensor.detach()
    values = tensor.reshape(-1).tolist()
    if tensor.is_floating_point():
        digits = 17 if tensor.dtype == torch.float64 else 9
        values = [float(f"{v:.{digits}g}") for v in values]
    return {"shape": list(tensor.shape), "values": values, "dtype": str(tensor.dtype).split(".")[1]}


def layer_case(module, x, train=True):
    """Forward and backward with a given cotangent."""
    module.train(train)
    if x.is_floating_point():
        x.requires_grad_()
    y = module(x)
    dy = torch.randn_like(y)
    parameters = {name: array(p) for name, p in module.named_parameters()}
    y.backward(dy)
    gradients = {name: array(p.grad) for name, p in module.named_parameters()}
    return {
        "x": array(x), "parameters": parameters, "y": array(y), "dy": array(dy),
        "dx": array(x.grad) if x.is_floating_point() else None, "gradients": gradients,
    }


def layers():
    r = torch.randn
    wide = r(4, 6) * 3
    cases = {
        "linear": (nn.Linear(7, 5), r(4, 7)),
        "linear_no_bias": (nn.Linear(7, 5, bias=False), r(2, 3, 7)),
        "conv2d": (nn.Conv2d(2, 4, 3), r(2, 2, 7, 6)),
        "conv2d_stride_padding": (nn.Conv2d(3, 4, (3, 5), stride=(2, 1), padding=(1, 2)), r(2, 3, 8, 9)),
        "conv2d_dilation": (nn.Conv2d(2, 3, 3, dilation=2, bias=False), r(1, 2, 9, 8)),
        "conv2d_groups": (nn.Conv2d(4, 6, 3, groups=2, padding=1), r(2, 4, 5, 5)),
        "max_pool2d": (nn.MaxPool2d(2), r(2, 3, 6, 8)),
        "max_pool2d_stride_padding": (nn.MaxPool2d(3, stride=2, padding=1), r(2, 2, 7, 7)),
        "avg_pool2d": (nn.AvgPool2d(2), r(2, 3, 6, 8)),
        "avg_pool2d_padding": (nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), r(2, 2, 7, 7)),
        "relu": (nn.ReLU(), wide.clone()),
        "leaky_relu": (nn.LeakyReLU(0.2), wide.clone()),
        "elu": (nn.ELU(1.5), wide.clone()),
        "gelu": (nn.GELU(), wide.clone()),
        "gelu_tanh": (nn.GELU(approximate="tanh"), wide.clone()),
        "silu": (nn.SiLU(), wide.clone()),
        "sigmoid": (nn.Sigmoid(), wide.clone()),
        "tanh": (nn.Tanh(), wide.clone()),
        "softplus": (nn.Softplus(), wide.clone()),
        "softmax": (nn.Softmax(dim=-1), wide.clone()),
        "softmax_axis0": (nn.Softmax(dim=0), wide.clone()),
        "log_softmax": (nn.LogSoftmax(dim=-1), wide.clone()),
        "flatten": (nn.Flatten(), r(2, 3, 4, 5)),
        "identity": (nn.Identity(), r(3, 4)),
        "embedding": (nn.Embedding(11, 4), torch.tensor([[1, 0, 10], [3, 3, 1]])),
        "layer_norm": (nn.LayerNorm(6), r(4, 6) * 2 + 1),
        "layer_norm_two_axes": (nn.LayerNorm([3, 5], eps=1e-3), r(2, 3, 5)),
        "layer_norm_plain": (nn.LayerNorm(6, elementwise_affine=False), r(4, 6)),
        "rms_norm": (nn.RMSNorm(6), r(4, 6)),
        "rms_norm_eps": (nn.RMSNorm(6, eps=1e-2), r(4, 6)),
        "batch_norm2d": (nn.BatchNorm2d(3), r(4, 3, 5, 5) * 2 + 1),
        "batch_norm1d": (nn.BatchNorm1d(3), r(8, 3) * 2 + 1),
        "batch_norm1d_sequence": (nn.BatchNorm1d(3, affine=False), r(4, 3, 7)),
        "sequential": (
            nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Sequential(nn.Linear(8, 3), nn.LayerNorm(3))),
            r(4, 5)),
        "conv1d": (nn.Conv1d(2, 4, 3), r(2, 2, 9)),
        "conv1d_groups": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=False), r(2, 4, 11)),
        "conv_transposed1d": (nn.ConvTranspose1d(3, 4, 4, stride=2, padding=1, output_padding=1), r(2, 3, 5)),
        "conv_transposed2d": (nn.ConvTranspose2d(3, 4, 3), r(2, 3, 4, 5)),
        "conv_transposed2d_groups": (
            nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2,
                               bias=False, dilation=(2, 1)),
            r(2, 4, 4, 3)),
    }
    result = {}
    for name, (module, x) in cases.items():
        for p in module.parameters():  # ones and zeros would hide a mistake
            if p.ndim == 1:
                p.data += 0.3 * torch.randn_like(p)
        result[name] = layer_case(module, x)
    return result


def batch_norm():
    module = nn.BatchNorm2d(2)
    steps = []
    for i in range(3):
        x = torch.randn(3, 2, 2, 3) * (i + 1) + i
        module(x)
        steps.append({"x": array(x), "mean": array(module.running_mean), "variance": array(module.running_var)})
    module.eval()
    x = torch.randn(2, 2, 2, 2)
    return {"steps": steps, "x": array(x), "y": array(module(x)), "names": list(module.state_dict())}


def losses():
    r = torch.randn
    logits, labels = r(6, 5) * 2, torch.tensor([0, 4, 2, 2, 1, 3])
    ignored = torch.tensor([0, 4, -1, 2, -1, 3])
    images, image_labels = r(2, 4, 3, 2), torch.randint(0, 4, (2, 3, 2))
    probabilities = torch.softmax(r(6, 5), -1)
    weight = torch.rand(5) + 0.5
    a, b = r(4, 3) * 2, r(4, 3)
    p, t = torch.rand(4, 3) * 0.98 + 0.01, torch.rand(4, 3)
    result = {}

    def add(name, function, x, target, **extra):
        x = x.clone().requires_grad_()
        values = {}
        for reduction in ("mean", "sum", "none"):
            loss = function(x, target, reduction=reduction)
            x.grad = None
            loss.sum().backward()
            values[reduction] = {"loss": array(loss), "gradient": array(x.grad)}
        result[name] = {"x": array(x), "target": array(target), "results": values,
                        "weight": array(extra["weight"]) if "weight" in extra else None}

    ce = F.cross_entropy
    add("cross_entropy", ce, logits, labels)
    add("cross_entropy_large", ce, logits * 200, labels)
    add("cross_entropy_smoothing", lambda x, y, reduction: ce(x, y, label_smoothing=0.1, reduction=reduction), logits, labels)
    add("cross_entropy_ignore", lambda x, y, reduction: ce(x, y, ignore_index=-1, reduction=reduction), logits, ignored)
    add("cross_entropy_weight", lambda x, y, reduction: ce(x, y, weight=weight, reduction=reduction), logits, labels, weight=weight)
    add("cross_entropy_weight_smoothing_ignore",
        lambda x, y, reduction: ce(x, y, weight=weight, label_smoothing=0.2, ignore_index=-1, reduction=reduction),
        logits, ignored, weight=weight)
    add("cross_entropy_images", ce, images, image_labels)
    add("cross_entropy_probabilities", ce, logits, probabilities)
    add("cross_entropy_probabilities_smoothing", lambda x, y, reduction: ce(x, y, label_smoothing=0.1, reduction=reduction), logits, probabilities)
    add("cross_entropy_vector", ce, logits[0], torch.tensor(3))
    add("nll", F.nll_loss, torch.log_softmax(logits, -1), labels)
    add("mse", F.mse_loss, a, b)
    add("l1", F.l1_loss, a, b)
    add("smooth_l1", lambda x, y, reduction: F.smooth_l1_loss(x, y, beta=0.7, reduction=reduction), a, b)
    add("huber", lambda x, y, reduction: F.huber_loss(x, y, delta=1.3, reduction=reduction), a, b)
    add("binary", F.binary_cross_entropy, p, t)
    add("binary_logits", F.binary_cross_entropy_with_logits, a * 30, t)
    pos = torch.tensor([0.5, 2.0, 1.0])
    add("binary_logits_positive",
        lambda x, y, reduction: F.binary_cross_entropy_with_logits(x, y, pos_weight=pos, reduction=reduction),
        a, t, weight=pos)
    add("kl", F.kl_div, torch.log_softmax(a, -1), torch.softmax(b, -1))
    add("kl_log", lambda x, y, reduction: F.kl_div(x, y, log_target=True, reduction=reduction),
        torch.log_softmax(a, -1), torch.log_softmax(b, -1))
    return result


def case_of(function, inputs, integers=()):
    """What a function gives, and the gradients of its floating-point inputs for a given cotangent."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = function(*leaves, *integers)
    dy = torch.randn_like(y)
    y.backward(dy)
    return {"inputs": [array(x) for x in inputs], "integers": [array(x) for x in integers], "y": array(y),
            "dy": array(dy), "gradients": [array(x.grad) for x in leaves]}


def normalization():
    result = {}
    for dtype in (torch.float32, torch.float64):
        def r(*shape):
            return torch.randn(*shape, dtype=dtype)

        def add(name, function, *inputs, integers=()):
            result[f"{name} {str(dtype).split('.')[1]}"] = case_of(function, inputs, integers)

        add("layer_norm", lambda x, w, b: F.layer_norm(x, (37,), w, b), r(6, 37) * 2 + 1, r(37), r(37))
        add("layer_norm_two_axes", lambda x, w, b: F.layer_norm(x, (3, 7), w, b, 1e-3), r(5, 3, 7), r(3, 7), r(3, 7))
        if dtype == torch.float32:
            add("layer_norm_long", lambda x, w, b: F.layer_norm(x, (1100,), w, b), r(1, 1100), r(1100), r(1100))
        add("layer_norm_tall", lambda x, w, b: F.layer_norm(x, (3,), w, b), r(70, 3), r(3), r(3))
        add("rms_norm", lambda x, w: F.rms_norm(x, (37,), w), r(6, 37), r(37))
        add("rms_norm_eps", lambda x, w: F.rms_norm(x, (3, 7), w, 1e-2), r(5, 3, 7), r(3, 7))
        for name, shape in (("", (4, 3, 4, 4)), ("_odd", (5, 6, 3, 3)), ("_features", (35, 19)), ("_sequence", (2, 5, 33)),
                            ("_wide", (1, 1, 34, 34))):
            c = shape[1]
            add("batch_norm" + name, lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
                r(*shape) * 2 + 1, r(c), r(c))
        mean, variance = r(4), torch.rand(4, dtype=dtype) + 0.5
        add("batch_norm_in_use", lambda x, w, b: F.batch_norm(x, mean, variance, w, b), r(3, 4, 5, 2), r(4), r(4))
        result[list(result)[-1]]["integers"] = [array(mean), array(variance)]
        labels = torch.tensor([0, 4, -100, 2, 1, 3, 4])
        weight = torch.rand(5, dtype=dtype) + 0.5
        for name, attributes in (("", {}), ("_smooth", {"label_smoothing": 0.2}), ("_weighted", {"weight": weight}),
                                 ("_weighted_smooth", {"weight": weight, "label_smoothing": 0.2})):
            for reduction in ("mean", "sum", "none"):
                for kind, x, y in (("", r(7, 5) * 3, labels), ("_images", r(2, 5, 2, 3) * 3, torch.randint(0, 5, (2, 2, 3)))):
                    full = f"cross_entropy{name}{kind}_{reduction}"
                    add(full, lambda x, y: F.cross_entropy(x, y, reduction=reduction, **attributes), x, integers=(y,))
                    result[list(result)[-1]]["integers"].append(array(weight))
        if dtype == torch.float32:
            add("cross_entropy_many", lambda x, y: F.cross_entropy(x, y), r(1, 1500), integers=(torch.tensor([1400]),))
        add("nll", lambda x, y: F.nll_loss(x, y, weight=weight), r(7, 5), integers=(labels,))
        result[list(result)[-1]]["integers"].append(array(weight))
    return result


def batch_norm_training():
    """Ten steps of SGD on a small network: its losses and running statistics."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6),
                          nn.BatchNorm1d(6, momentum=0.3), nn.ReLU(), nn.Linear(6, 3))
    initial = {name: array(value) for name, value in model.named_parameters()}
    x, y = torch.randn(10, 8, 1, 8, 8) * 2 + 3, torch.randint(0, 3, (10, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    steps = []
    for i in range(10):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[i]), y[i])
        loss.backward()
        optimizer.step()
        steps.append({"x": array(x[i]), "y": array(y[i]), "loss": array(loss),
                      "statistics": [array(v) for k, v in model.named_buffers() if "running" in k]})
    return {"parameters": initial, "steps": steps}


def optimizers():
    o = torch.optim
    configurations = {
        "sgd": lambda p: o.SGD(p, lr=0.1),
        "sgd_decay": lambda p: o.SGD(p, lr=0.1, weight_decay=0.05),
        "sgd_momentum": lambda p: o.SGD(p, lr=0.1, momentum=0.9),
        "sgd_dampening": lambda p: o.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
        "sgd_nesterov": lambda p: o.SGD(p, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
        "adam": lambda p: o.Adam(p, lr=0.01),
        "adam_decay": lambda p: o.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
        "adam_amsgrad": lambda p: o.Adam(p, lr=0.01, amsgrad=True),
        "adamw": lambda p: o.AdamW(p, lr=0.01),
        "adamw_decay": lambda p: o.AdamW(p, lr=0.02, weight_decay=0.3, amsgrad=True),
    }
    start = [torch.randn(3, 4), torch.randn(5)]
    gradients = [[torch.randn_like(p) * (3 - i % 3) for p in start] for i in range(5)]
    results = {}
    for name, make in configurations.items():
        parameters = [p.clone().requires_grad_() for p in start]
        optimizer = make(parameters)
        steps = []
        for step in gradients:
            for p, g in zip(parameters, step):
                p.grad = g.clone()
            optimizer.step()
            steps.append([array(p) for p in parameters])
        results[name] = steps
    clipped = [p.clone().requires_grad_() for p in start]
    for p, g in zip(clipped, gradients[0]):
        p.grad = g.clone()
    norm = torch.nn.utils.clip_grad_norm_(clipped, 1.5)
    return {
        "start": [array(p) for p in start], "gradients": [[array(g) for g in s] for s in gradients],
        "results": results, "norm": array(norm), "clipped": [array(p.grad) for p in clipped],
    }


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def lenet():
    images = np.frombuffer(gzip.open(images_file).read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.frombuffer(gzip.open(labels_file).read(), np.uint8, offset=8).astype(np.int64)
    model = LeNet()
    initial = {k: v.clone() for k, v in model.state_dict().items()}
    with open(fixtures / "lenet.f32", "wb") as file:
        for value in initial.values():
            file.write(value.numpy().astype("<f4").tobytes())
    runs = []
    for rate in (0.001, 0.01):
        model.load_state_dict(initial)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        values = []
        for step in range(20):
            x = torch.from_numpy(images[8 * step:8 * step + 8].astype(np.float32)) / 255
            y = torch.from_numpy(labels[8 * step:8 * step + 8])
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        runs.append({"learningRate": rate, "losses": values})
    return {"names": list(initial), "shapes": [list(v.shape) for v in initial.values()], "runs": runs}


if __name__ == "__main__":
    fixtures.mkdir(exist_ok=True)
    for name, make in (("layers", layers), ("batch_norm", batch_norm), ("losses", losses),
                       ("optimizers", optimizers), ("lenet", lenet), ("normalization", normalization),
                       ("batch_norm_training", batch_norm_training)):
        torch.manual_seed(7)
        (fixtures / f"{name}.json").write_text(json.dumps(make(), separators=(",", ":")) + "\n")
