"""Writes Fixtures/modules.json and rules.json: what PyTorch computes for layers, functions, losses and optimisers.

    python make_layer_fixtures.py        (with torch; the tests need neither Python nor torch)

Inputs and parameters are multiples of 1/8, which every dtype has, results those of float64.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
fixtures = Path(__file__).resolve().parent / "Fixtures"
generator = torch.Generator().manual_seed(20)


def array(tensor):
    values = tensor.detach().reshape(-1).tolist()
    result = {"shape": list(tensor.shape), "values": [int(v) if v == int(v) else float(f"{v:.7g}") for v in values]}
    if tensor.dtype != torch.float64:
        result["dtype"] = str(tensor.dtype).split(".")[1]
    return result


def eighths(*shape, most=16):
    """Multiples of 1/8 that differ as far as possible, so that maxima and bounds are clear."""
    return torch.randint(-most, most + 1, shape, generator=generator).double() / 8


def flat(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [tensor for part in result if part is not None for tensor in flat(part)]


def case(function, inputs, module=None):
    """What a function or a module gives for leaves, and the gradients for given cotangents."""
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    parameters = dict(module.named_parameters()) if module else {}
    with torch.no_grad():
        for p in parameters.values():
            p.copy_(eighths(*p.shape, most=4) / 2)
    state = {name: array(value) for name, value in (module.state_dict() if module else {}).items()}
    results = flat(function(*inputs))
    cotangents = [eighths(*y.shape) for y in results]
    torch.autograd.backward(results, cotangents)
    floats = [x for x in inputs if x.is_floating_point()]
    found = {
        "inputs": [array(x) for x in inputs], "state": state, "names": list(parameters),
        "results": [array(y) for y in results], "cotangents": [array(d) for d in cotangents],
        "inputGradients": [array(x.grad) for x in floats],
        "gradients": {name: array(p.grad) for name, p in parameters.items()},
        "after": {name: array(b) for name, b in (module.named_buffers() if module else [])},
    }
    return {name: value for name, value in found.items() if value}


def of_module(module, *inputs, call=None):
    return case(call or module, inputs, module)


def modules():
    x4, x3 = eighths(2, 4, 3, 5), eighths(3, 4, 5)
    result = {
        "group_norm": of_module(nn.GroupNorm(2, 4), x4),
        "group_norm_one": of_module(nn.GroupNorm(1, 4, eps=1e-3), x3),
        "group_norm_each": of_module(nn.GroupNorm(4, 4), x4),
        "group_norm_plain": of_module(nn.GroupNorm(2, 6, affine=False), eighths(4, 6)),
        "instance_norm2d": of_module(nn.InstanceNorm2d(4), x4),
        "instance_norm2d_affine": of_module(nn.InstanceNorm2d(4, affine=True, track_running_stats=True), x4),
        "instance_norm1d": of_module(nn.InstanceNorm1d(4, affine=True, momentum=0.3, track_running_stats=True), x3),
        "instance_norm1d_single": of_module(nn.InstanceNorm1d(4, affine=True), eighths(4, 5)),
        "instance_norm2d_in_use": of_module(
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True).eval(), x4),
    }
    images = eighths(2, 2, 7, 5, most=64)
    functions = {
        "adaptive_avg_one": (nn.AdaptiveAvgPool2d(1), images),
        "adaptive_avg_even": (nn.AdaptiveAvgPool2d((2, 3)), eighths(1, 2, 4, 6)),
        "adaptive_avg_odd": (nn.AdaptiveAvgPool2d((3, 4)), images),
        "adaptive_avg_larger": (nn.AdaptiveAvgPool2d(6), eighths(1, 1, 4, 3)),
        "adaptive_max_odd": (nn.AdaptiveMaxPool2d((3, 4)), images),
        "adaptive_max_even": (nn.AdaptiveMaxPool2d((2, 3)), eighths(1, 2, 4, 6, most=64)),
        "adaptive_max_one": (nn.AdaptiveMaxPool2d(1), images),
        "adaptive_avg1d": (nn.AdaptiveAvgPool1d(3), eighths(2, 3, 8)),
        "adaptive_max1d": (nn.AdaptiveMaxPool1d(3), eighths(2, 3, 8, most=64)),
        "max_pool1d": (nn.MaxPool1d(3, stride=2, padding=1, dilation=2), eighths(2, 3, 9, most=64)),
        "avg_pool1d": (nn.AvgPool1d(3, stride=2, padding=1, count_include_pad=False), eighths(2, 3, 9)),
        "nearest1d": (nn.Upsample(scale_factor=2), eighths(2, 2, 4)),
        "nearest2d": (nn.Upsample(scale_factor=(2, 3)), eighths(1, 2, 3, 2)),
        "nearest2d_size": (nn.Upsample(size=(5, 3)), eighths(1, 2, 3, 4)),
        "nearest2d_factor": (nn.Upsample(scale_factor=1.7), eighths(1, 2, 3, 4)),
        "linear1d": (nn.Upsample(scale_factor=2, mode="linear"), eighths(2, 2, 4)),
        "linear1d_corners": (nn.Upsample(size=7, mode="linear", align_corners=True), eighths(2, 2, 4)),
        "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), eighths(1, 2, 3, 4)),
        "bilinear_corners": (nn.Upsample(size=(5, 6), mode="bilinear", align_corners=True), eighths(1, 2, 3, 4)),
        "bilinear_smaller": (nn.Upsample(size=(2, 3), mode="bilinear"), eighths(1, 2, 5, 4)),
        "bilinear_factor": (nn.Upsample(scale_factor=1.3, mode="bilinear"), eighths(1, 2, 5, 4)),
        "pixel_shuffle": (nn.PixelShuffle(2), eighths(2, 8, 2, 3)),
        "pixel_unshuffle": (nn.PixelUnshuffle(2), eighths(2, 2, 4, 6)),
        "zero_pad2d": (nn.ZeroPad2d((1, 2, 0, 3)), eighths(2, 1, 2, 3)),
        "unflatten": (nn.Unflatten(1, (2, 3)), eighths(2, 6, 2)),
        "glu": (nn.GLU(), eighths(3, 6)),
        "glu_axis": (nn.GLU(dim=1), eighths(2, 4, 3)),
        "softmin": (nn.Softmin(dim=-1), eighths(3, 4)),
        "celu": (nn.CELU(1.5), eighths(4, 6)),
        "hardshrink": (nn.Hardshrink(0.75), eighths(4, 6)),
        "softshrink": (nn.Softshrink(0.625), eighths(4, 6)),
        "tanhshrink": (nn.Tanhshrink(), eighths(4, 6)),
        "threshold": (nn.Threshold(0.25, -2), eighths(4, 6)),
        "relu6": (nn.ReLU6(), eighths(4, 6, most=64) + 1 / 16),
        "hardtanh": (nn.Hardtanh(-0.5, 1.5), eighths(4, 6) + 1 / 16),
        "hardsigmoid": (nn.Hardsigmoid(), eighths(4, 6, most=40) + 1 / 16),
        "hardswish": (nn.Hardswish(), eighths(4, 6, most=40) + 1 / 16),
        "selu": (nn.SELU(), eighths(4, 6)),
        "mish": (nn.Mish(), eighths(4, 6)),
        "log_sigmoid": (nn.LogSigmoid(), eighths(4, 6)),
        "softsign": (nn.Softsign(), eighths(4, 6)),
        "prelu": (nn.PReLU(), eighths(4, 6)),
        "prelu_channels": (nn.PReLU(3), eighths(2, 3, 4)),
    }
    for name, (module, x) in functions.items():
        result[name] = of_module(module, x)
    return result


def recurrent():
    result = {}
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        name = kind.__name__.lower()
        result[name] = of_module(kind(3, 4), eighths(5, 2, 3))
        result[name + "_plain"] = of_module(kind(3, 4, bias=False, batch_first=True), eighths(2, 4, 3))
        result[name + "_single"] = of_module(kind(3, 2, bidirectional=True), eighths(4, 3))
        module = kind(3, 4, num_layers=2, batch_first=True, bidirectional=True)
        state = [eighths(4, 2, 4) for _ in range(2 if kind is nn.LSTM else 1)]
        call = (lambda m: lambda x, h, c: m(x, (h, c)))(module) if kind is nn.LSTM else module
        result[name + "_deep"] = of_module(module, eighths(2, 5, 3), *state, call=call)
    result["rnn_relu"] = of_module(nn.RNN(3, 4, nonlinearity="relu", num_layers=2), eighths(3, 2, 3) + 1 / 16)
    lstm_cell = nn.LSTMCell(3, 4)
    result["lstm_cell"] = of_module(
        lstm_cell, eighths(2, 3), eighths(2, 4), eighths(2, 4), call=lambda x, h, c: lstm_cell(x, (h, c)))
    result["lstm_cell_single"] = of_module(nn.LSTMCell(3, 4, bias=False), eighths(3))
    result["gru_cell"] = of_module(nn.GRUCell(3, 4), eighths(2, 3), eighths(2, 4))
    result["rnn_cell"] = of_module(nn.RNNCell(3, 4), eighths(2, 3), eighths(2, 4))
    return result


def attention():
    sdpa = F.scaled_dot_product_attention
    q, k, v = eighths(2, 2, 3, 4), eighths(2, 2, 5, 4), eighths(2, 2, 5, 3)
    some = torch.rand(3, 5, generator=generator) < 0.7
    some[:, 0], some[2] = True, True
    blind = some.clone()
    blind[1] = False
    result = {
        "sdpa": case(sdpa, [q, k, v]),
        "sdpa_scale": case(lambda q, k, v: sdpa(q, k, v, scale=0.25), [q, k, v]),
        "sdpa_causal": case(lambda q, k, v: sdpa(q, k, v, is_causal=True), [q, k, v]),
        "sdpa_mask": case(lambda q, k, v, mask: sdpa(q, k, v, attn_mask=mask), [q, k, v, some]),
        "sdpa_blind": case(lambda q, k, v, mask: sdpa(q, k, v, attn_mask=mask), [q, k, v, blind]),
        "sdpa_added": case(lambda q, k, v, mask: sdpa(q, k, v, attn_mask=mask), [q, k, v, eighths(3, 5)]),
    }
    module = nn.MultiheadAttention(4, 2)
    result["mha"] = of_module(module, eighths(3, 2, 4), eighths(5, 2, 4), eighths(5, 2, 4))
    module = nn.MultiheadAttention(4, 2, batch_first=True)
    result["mha_self"] = of_module(
        module, eighths(2, 3, 4), call=lambda x, m=module: m(x, x, x, average_attn_weights=False))
    padding = torch.tensor([[False, False, True, False, True], [False, True, False, False, False]])
    module = nn.MultiheadAttention(4, 2, batch_first=True)
    result["mha_masks"] = of_module(
        module, eighths(2, 3, 4), eighths(2, 5, 4), padding, ~some,
        call=lambda x, y, p, a, m=module: m(x, y, y, key_padding_mask=p, attn_mask=a))
    module = nn.MultiheadAttention(4, 2, bias=False, kdim=3, vdim=5)
    result["mha_sizes"] = of_module(module, eighths(3, 2, 4), eighths(4, 2, 3), eighths(4, 2, 5))
    module = nn.MultiheadAttention(4, 2, kdim=3)
    result["mha_sizes_bias"] = of_module(
        module, eighths(3, 4), eighths(4, 3), eighths(4, 4), eighths(2, 3, 4),
        call=lambda q, k, v, a, m=module: m(q, k, v, attn_mask=a))

    def layer(kind, **options):
        return kind(4, 2, dim_feedforward=6, dropout=0.0, **options)

    for name, options in {"": {}, "_first": {"norm_first": True, "activation": "gelu", "batch_first": True},
                          "_plain": {"bias": False}}.items():
        result["encoder_layer" + name] = of_module(layer(nn.TransformerEncoderLayer, **options), eighths(3, 2, 4))
        result["decoder_layer" + name] = of_module(
            layer(nn.TransformerDecoderLayer, **options), eighths(3, 2, 4),
            eighths(3, 5, 4) if options.get("batch_first") else eighths(5, 2, 4))
    causal = nn.Transformer.generate_square_subsequent_mask(3, dtype=torch.float64)
    encoder = nn.TransformerEncoder(layer(nn.TransformerEncoderLayer), 2, norm=nn.LayerNorm(4))
    result["encoder"] = of_module(encoder, eighths(3, 2, 4), call=lambda x: encoder(x, mask=causal, is_causal=True))
    decoder = nn.TransformerDecoder(layer(nn.TransformerDecoderLayer), 2)
    result["decoder"] = of_module(
        decoder, eighths(3, 2, 4), eighths(4, 2, 4), call=lambda x, m: decoder(x, m, tgt_mask=causal))
    return result


def losses():
    a, b, c = eighths(4, 3), eighths(4, 3), eighths(4, 3)
    signs = torch.tensor([1, -1, -1, 1])
    counts = torch.tensor([[0, 1, 4], [2, 0, 7]])
    result = {}
    for r in ("none", "mean", "sum"):
        def add(name, function, *inputs):
            result[f"{name} {r}"] = case(function, inputs)
        add("margin_ranking", lambda x, y, s: F.margin_ranking_loss(x, y, s, 0.5, reduction=r), a[:, 0], b[:, 0], signs)
        add("hinge_embedding", lambda x, s: F.hinge_embedding_loss(x, s, 1.5, reduction=r), a[:, 1], signs)
        add("cosine_embedding", lambda x, y, s: F.cosine_embedding_loss(x, y, s, 0.25, reduction=r), a, b, signs)
        add("triplet", lambda x, y, z: F.triplet_margin_loss(x, y, z, 1.5, reduction=r), a, b, c)
        add("triplet_swap", lambda x, y, z: F.triplet_margin_loss(x, y, z, 2, p=1, swap=True, reduction=r), a, b, c)
        add("poisson", lambda x, t: F.poisson_nll_loss(x, t.double(), reduction=r), eighths(2, 3), counts)
        add("poisson_full", lambda x, t: F.poisson_nll_loss(x, t.double(), log_input=False, full=True, reduction=r),
            eighths(2, 3).abs() + 0.5, counts)
        add("gaussian", lambda x, t, v: F.gaussian_nll_loss(x, t, v, full=True, reduction=r), a, b, c.abs() + 0.25)
        add("soft_margin", lambda x, s: F.soft_margin_loss(x, s, reduction=r), a[:, 2], signs)
        lengths = torch.tensor([6, 4]), torch.tensor([3, 2])
        labels = torch.tensor([[1, 1, 3], [2, 4, 0]])
        add("ctc", lambda x, l, i, t: F.ctc_loss(x.log_softmax(-1), l, i, t, reduction=r),
            eighths(6, 2, 5), labels, *lengths)
    result["cosine_similarity"] = case(lambda x, y: F.cosine_similarity(x, y), (a, b))
    result["pairwise_distance"] = case(lambda x, y: F.pairwise_distance(x, y), (a, b))
    return result


def rules():
    """Optimisers and schedules."""
    start = [eighths(2, 3), eighths(3)]
    gradients = [[eighths(*p.shape) for p in start] for _ in range(8)]
    optim = torch.optim
    optimizers = {
        "rmsprop": (optim.RMSprop, {}),
        "rmsprop_all": (optim.RMSprop, dict(lr=0.02, alpha=0.9, eps=1e-6, weight_decay=0.1, momentum=0.8, centered=True)),
        "adagrad": (optim.Adagrad, {}),
        "adagrad_all": (optim.Adagrad, dict(lr=0.1, lr_decay=0.2, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-6)),
        "adadelta": (optim.Adadelta, {}),
        "adadelta_all": (optim.Adadelta, dict(lr=0.5, rho=0.8, eps=1e-4, weight_decay=0.1)),
        "adamax": (optim.Adamax, {}),
        "adamax_all": (optim.Adamax, dict(lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1)),
        "nadam": (optim.NAdam, {}),
        "nadam_all": (optim.NAdam, dict(lr=0.1, betas=(0.8, 0.9), weight_decay=0.1, momentum_decay=0.01)),
        "nadam_decoupled": (optim.NAdam, dict(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True)),
        "radam": (optim.RAdam, {}),
        "radam_all": (optim.RAdam, dict(lr=0.1, betas=(0.8, 0.9), weight_decay=0.1)),
        "radam_decoupled": (optim.RAdam, dict(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True)),
    }
    runs = {}
    for name, (kind, options) in optimizers.items():
        parameters = [nn.Parameter(p.clone()) for p in start]
        optimizer = kind(parameters, **options)
        runs[name] = []
        for given in gradients:
            for p, g in zip(parameters, given):
                p.grad = g.clone()
            optimizer.step()
            runs[name].append([array(p) for p in parameters])

    lr = optim.lr_scheduler
    schedules = {
        "exponential": lambda o: lr.ExponentialLR(o, 0.8),
        "multi_step": lambda o: lr.MultiStepLR(o, [2, 5, 5], 0.5),
        "linear": lambda o: lr.LinearLR(o),
        "linear_all": lambda o: lr.LinearLR(o, 0.5, 0.75, 4),
        "constant": lambda o: lr.ConstantLR(o, 0.25, 3),
        "polynomial": lambda o: lr.PolynomialLR(o, 4, 2.0),
        "one_cycle": lambda o: lr.OneCycleLR(o, 4.0, total_steps=12, cycle_momentum=False),
        "one_cycle_linear": lambda o: lr.OneCycleLR(
            o, 4.0, total_steps=12, pct_start=0.4, anneal_strategy="linear", div_factor=5, final_div_factor=100,
            three_phase=True, cycle_momentum=False),
        "restarts": lambda o: lr.CosineAnnealingWarmRestarts(o, 3),
        "restarts_longer": lambda o: lr.CosineAnnealingWarmRestarts(o, 2, 2, 0.125),
        "lambda": lambda o: lr.LambdaLR(o, lambda step: 1 / (1 + step)),
        "sequential": lambda o: lr.SequentialLR(
            o, [lr.LinearLR(o, 0.25, total_iters=3), lr.ExponentialLR(o, 0.5), lr.ConstantLR(o, 0.1, 2)], [3, 7]),
    }
    rates = {}
    for name, make in schedules.items():
        optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=2.0)
        scheduler = make(optimizer)
        rates[name] = []
        for _ in range(12):
            rates[name].append(float(f"{optimizer.param_groups[0]['lr']:.12g}"))
            optimizer.step()
            if len(rates[name]) < 12:
                scheduler.step()
    metrics = [5, 4, 4.5, 4.25, 4.5, 3.9996, 4, 4, 4, 4, 4, 3, 4, 4, 4, 4]
    plateaus = {}
    for name, options in {"min": dict(patience=1, factor=0.5), "max": dict(mode="max", patience=2, cooldown=2),
                          "abs": dict(patience=0, threshold=0.25, threshold_mode="abs", min_lr=0.05, factor=0.5)}.items():
        optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=2.0)
        scheduler = lr.ReduceLROnPlateau(optimizer, **options)
        plateaus[name] = []
        for metric in metrics:
            scheduler.step(metric)
            plateaus[name].append(float(f"{optimizer.param_groups[0]['lr']:.12g}"))
    return {"start": [array(p) for p in start], "gradients": [[array(g) for g in given] for given in gradients],
            "runs": runs, "rates": rates, "metrics": metrics, "plateaus": plateaus}


def write(name, value):
    text = json.dumps(value, separators=(",", ":"))
    (fixtures / name).write_text(text)
    print(name, len(text))


write("modules.json", {**modules(), **recurrent(), **attention(), **losses()})
write("rules.json", rules())
