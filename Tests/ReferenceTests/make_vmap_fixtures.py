"""Makes Fixtures/vmap.json: mapped functions as JAX's vmap gives them, in float64.

Run in this folder with an interpreter that has jax. The functions are written a second time in VmapTests.swift.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(11)
cases = {}


def array(*shape):
    # Few digits, so that the file stays small.
    return jnp.asarray(np.round(rng.normal(size=shape), 3))


def stored(value):
    value = np.asarray(value)
    return {"shape": list(value.shape), "values": value.reshape(-1).tolist()}


def case(name, inputs, outputs):
    cases[name] = {"inputs": [stored(x) for x in inputs], "outputs": [stored(y) for y in outputs]}


def network(parameters, x):
    w1, b1, w2, b2 = parameters
    return jnp.tanh(x @ w1 + b1) @ w2 + b2


def loss(parameters, x, y):
    scores = network(parameters, x)
    return -jax.nn.log_softmax(scores)[y]


parameters = [array(4, 3), array(3), array(3, 5), array(5)]
x, y = array(6, 4), jnp.asarray(rng.integers(0, 5, size=6))
gradients = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(parameters, x, y)
case("per-example gradients", [*parameters, x, y], gradients)

stacked = [array(3, 4, 3), array(3, 3), array(3, 3, 5), array(3, 5)]
ensemble = jax.vmap(network, in_axes=(0, None))
case("ensemble", [*stacked, x], [ensemble(stacked, x)])
total = lambda p: jnp.sum(jnp.sin(ensemble(p, x)))
case("gradients of an ensemble", [*stacked, x], jax.grad(total)(stacked))

a, b = array(3, 4), array(4, 5)
products = jax.vmap(jax.vmap(lambda a, b: jnp.tanh(a * b).sum(), (None, 1)), (0, None), 1)
case("nested", [a, b], [products(a, b)])

f = lambda x: jnp.sum(jnp.tanh(x) * x * x)
case("hessians", [x], [jax.vmap(jax.hessian(f))(x)])


def walk(x, steps):
    def step(state, s):
        state = jnp.tanh(state * s + x)
        return state, jnp.sum(state)

    return jax.lax.scan(step, x, steps)


steps = array(5, 2, 4)
case("scan", [x[:2], steps], jax.vmap(walk, in_axes=(0, 1))(x[:2], steps))
grown = jax.vmap(lambda x: jax.lax.while_loop(lambda z: z < 10, lambda z: z * 1.5 + 0.1, x))
start = jnp.abs(array(5)) + 0.1
case("while", [start], [grown(start)])
chosen = jax.vmap(lambda x: jax.lax.cond(jnp.sum(x) > 0, jnp.sin, lambda x: x * x, x))
case("cond", [x], [chosen(x), jax.grad(lambda x: jnp.sum(chosen(x)))(x)])

images, kernels = array(2, 1, 3, 5, 5), array(2, 4, 3, 3, 3)
convolve = lambda x, w: jax.lax.conv(x, w, (1, 1), "VALID")
case("convolutions", [images, kernels], [jax.vmap(convolve)(images, kernels)])

table, places, values = array(3, 5), jnp.asarray(rng.integers(0, 5, size=(3, 4))), array(3, 4)
added = jax.vmap(lambda t, i, v: t.at[i].add(v))
case("scattered", [table, places, values], [added(table, places, values)])

with open("Fixtures/vmap.json", "w") as file:
    json.dump({"jax": jax.__version__, "cases": cases}, file, separators=(",", ":"))
    file.write("\n")
