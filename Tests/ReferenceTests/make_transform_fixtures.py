"""Makes Fixtures/transforms.json: derivatives of functions as JAX's transforms give them, in float64.

Run in this folder with an interpreter that has jax. The functions are written a second time in TransformTests.swift.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(4)
cases = {}


def array(*shape):
    return jnp.asarray(rng.normal(size=shape))


def stored(value):
    value = np.asarray(value)
    return {"shape": list(value.shape), "values": value.reshape(-1).tolist()}


def case(name, inputs, outputs):
    cases[name] = {"inputs": [stored(x) for x in inputs], "outputs": [stored(y) for y in outputs]}


def bent(x):
    return jnp.sum(jnp.tanh(x) * x * x)


def layer(x, w):
    return jnp.tanh(x @ w)


def network(parameters, x):
    hidden = jnp.tanh(x @ parameters["weight"] + parameters["bias"])
    return jnp.mean(hidden * hidden) + jnp.sum(parameters["weight"] ** 3) / 10


def several(x, y):
    return jnp.cumprod(x), jnp.sort(y) * x[0], jax.nn.softmax(x * y)


x = array(4)
case("grad", [x], [jax.grad(bent)(x)])
case("valueAndGrad", [x], list(jax.value_and_grad(bent)(x)))
case("hessian", [x], [jax.hessian(bent)(x)])
m = array(2, 2)
case("hessian of a matrix", [m], [jax.hessian(lambda m: jnp.sum(jnp.sin(m) @ m))(m)])

p = {"weight": array(3, 2), "bias": array(2)}
x = array(5, 3)
g = jax.grad(network)(p, x)
case("grad of a tree", [p["bias"], p["weight"], x], [g["bias"], g["weight"]])
# The gradient, by the network's input, of the sum of squares of the gradient by its parameters.
slopes = lambda x: sum(jnp.sum(g * g) for g in jax.tree.leaves(jax.grad(network)(p, x)))
case("grad of a grad of a tree", [p["bias"], p["weight"], x], [jax.grad(slopes)(x)])

x, w = array(2, 3), array(3, 4)
case("jacobian", [x, w], [jax.jacobian(layer)(x, w)])
x = array(5)
case("jacobian of softmax", [x], [jax.jacobian(jax.nn.softmax)(x)])

x, y = array(4), array(4)
cotangents = (array(4), array(4), array(4))
tangents = (array(4), array(4))
outputs, pull = jax.vjp(several, x, y)
case("vjp", [x, y, *cotangents], [*outputs, *pull(cotangents)])
outputs, products = jax.jvp(several, (x, y), tangents)
case("jvp", [x, y, *tangents], [*outputs, *products])
# A Hessian-vector product: the jvp of a grad.
x, v = array(4), array(4)
case("jvp of a grad", [x, v], [jax.jvp(jax.grad(bent), (x,), (v,))[1]])
# The derivative of a jvp by the point.
case("grad of a jvp", [x, v], [jax.grad(lambda x: jax.jvp(bent, (x,), (v,))[1])(x)])

f = lambda x: x**3 * jnp.sin(x)
s = jnp.asarray(0.7)
derivatives = []
for _ in range(4):
    f = jax.grad(f)
    derivatives.append(f(s))
case("grad four times", [s], derivatives)

with open("Fixtures/transforms.json", "w") as file:
    json.dump({"jax": jax.__version__, "cases": cases}, file, indent=0)
