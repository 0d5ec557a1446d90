# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The reference interpreter against each layer's recurrence as its paper writes it.

Every layer of test/Reference is restated here in numpy, in its paper's own form
(products of matrices, S as V x K where the paper has it so, sums over s <= t for
linear attention), so that the interpreter and the compiler cannot share one
misreading of `delta.recurrence`.
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WYVERN_BUILD_DIR", ROOT / "build"))
PROGRAMS = ROOT / "test" / "Reference"

KEY_HEADS, VALUE_HEADS, K, V = 2, 4, 12, 10
I = np.eye(K)


# --- One function a layer: one head's tensors and its first state (K x V) in, ---
# --- o [T, V] and the last state (K x V) out. ---


def delta_net(q, k, v, beta, S0, alpha=None):
    """Yang et al. 2024; with alpha, Gated DeltaNet (Yang et al. 2025).

    S_t = S_{t-1} alpha_t (I - beta_t k_t k_t^T) + beta_t v_t k_t^T,  o_t = S_t q_t.
    """
    S, o = S0.T, []
    for t in range(len(q)):
        a = 1.0 if alpha is None else alpha[t]
        S = S @ (a * (I - beta[t] * np.outer(k[t], k[t]))) + beta[t] * np.outer(v[t], k[t])
        o.append(0.25 * S @ q[t])
    return o, S.T


def gated_delta_net(q, g, k, v, beta, S0):
    return delta_net(q, k, v, beta, S0, alpha=np.exp(g))


def delta_product(q, k, v, beta, S0, n=2, alpha=None):
    """Siems et al. 2025: H_i = A(x_i) H_{i-1} + B(x_i) with the product of n_h
    generalised Householder matrices A_i = alpha_i prod_j (I - beta_ij k_ij k_ij^T) and
    B_i = sum_j [prod_{j' > j} (I - beta_ij' k_ij' k_ij'^T)] beta_ij k_ij v_ij^T."""
    H, o = S0, []
    for i in range(len(q)):
        A, B = I * (1.0 if alpha is None else alpha[i]), np.zeros((K, V))
        for r in range(i * n, (i + 1) * n):
            householder = I - beta[r] * np.outer(k[r], k[r])
            A, B = householder @ A, householder @ B + beta[r] * np.outer(k[r], v[r])
        H = A @ H + B
        o.append(0.25 * H.T @ q[i])
    return o, H


def gated_delta_product(q, g, k, v, beta, S0):
    return delta_product(q, k, v, beta, S0, n=3, alpha=np.exp(g))


def kimi_delta_attention(q, g, k, v, beta, S0):
    """Kimi Team 2025: S_t = (I - beta k k^T) Diag(alpha) S_{t-1} + beta k v^T."""
    S, o = S0, []
    for t in range(len(q)):
        S = (I - beta[t] * np.outer(k[t], k[t])) @ np.diag(np.exp(g[t])) @ S
        S = S + beta[t] * np.outer(k[t], v[t])
        o.append(0.25 * q[t] @ S)
    return o, S


def gdn2(q, g, k, b, v, w, S0):
    """S_t = (I - k (b * k)^T) Diag(alpha) S_{t-1} + k (w * v)^T."""
    S, o = S0, []
    for t in range(len(q)):
        S = (I - np.outer(k[t], b[t] * k[t])) @ np.diag(np.exp(g[t])) @ S
        S = S + np.outer(k[t], w[t] * v[t])
        o.append(0.25 * q[t] @ S)
    return o, S


def comba(q, g, k, p, v, beta, S0):
    """Hu et al. 2025: S_t = S_{t-1} (alpha_t I - beta_t p_t k_t^T) + beta_t v_t k_t^T.

    p meets S_{t-1}, which has not decayed.
    """
    S, o = S0.T, []
    for t in range(len(q)):
        S = S @ (np.exp(g[t]) * I - beta[t] * np.outer(p[t], k[t])) + beta[t] * np.outer(v[t], k[t])
        o.append(0.25 * S @ q[t])
    return o, S.T


def preconditioned(q, g, k, m, v, beta, S0):
    """S_t = (I - beta P k k^T) Diag(alpha) S_{t-1} + beta P k v^T, P = Diag(m)."""
    S, o = S0, []
    for t in range(len(q)):
        P = np.diag(m[t])
        decay = np.diag(np.exp(g[t]) * np.ones(K))
        S = (I - beta[t] * P @ np.outer(k[t], k[t])) @ decay @ S + beta[t] * P @ np.outer(k[t], v[t])
        o.append(0.25 * q[t] @ S)
    return o, S


def rwkv7(r, g, kappa, a, k, v, S0):
    """Peng et al. 2025, with row vectors and wkv as V x K:

    wkv_t = wkv_{t-1} (diag(w_t) - kappa_t^T (a_t * kappa_t)) + v_t^T k_t,  o_t = wkv_t r_t^T.
    """
    wkv, o = S0.T, []
    for t in range(len(r)):
        transition = np.diag(np.exp(g[t])) - np.outer(kappa[t], a[t] * kappa[t])
        wkv = wkv @ transition + np.outer(v[t], k[t])
        o.append(wkv @ r[t])
    return o, wkv.T


def dplr(q, g, p, r, k, v, S0):
    """Diagonal plus low rank: S_t = (Diag(alpha_t) + p_t r_t^T) S_{t-1} + k_t v_t^T."""
    S, o = S0, []
    for t in range(len(q)):
        S = (np.diag(np.exp(g[t])) + np.outer(p[t], r[t])) @ S + np.outer(k[t], v[t])
        o.append(0.25 * q[t] @ S)
    return o, S


def linear_attention(q, k, v, S0):
    """Katharopoulos et al. 2020: o_t = sum over s <= t of (q_t k_s) v_s, masked matmuls."""
    o = 0.25 * (np.tril(q @ k.T) @ v + q @ S0)
    return o, S0 + k.T @ v


def gated_linear_attention(q, g, k, v, S0):
    """Yang et al. 2024, unrolled: o_t = sum_s (q_t * prod_{s < r <= t} alpha_r) k_s v_s."""
    T = len(q)
    between = lambda s, t: np.exp(g[s + 1 : t + 1].sum(axis=0))
    o = [0.25 * (sum(((q[t] * between(s, t)) @ k[s]) * v[s] for s in range(t + 1)) + (q[t] * between(-1, t)) @ S0) for t in range(T)]
    S = np.diag(between(-1, T - 1)) @ S0
    for s in range(T):
        S = S + np.outer(between(s, T - 1) * k[s], v[s])
    return o, S


def mamba2(C, g, B, x, dt, S0):
    """Dao and Gu 2024: Y = (L * C B^T) X, L_ts = a_{s+1} ... a_t, X = dt x."""
    T = len(C)
    L = np.array([[np.exp(g[s + 1 : t + 1].sum()) if s <= t else 0.0 for s in range(T)] for t in range(T)]).reshape(T, T)
    X = dt[:, None] * x
    carried = np.exp(np.cumsum(g))
    y = (L * (C @ B.T)) @ X + carried[:, None] * (C @ S0)
    final = S0 if T == 0 else carried[-1] * S0 + (L[-1][:, None] * B).T @ X
    return y, final


# --- Inputs: the shape after [B, T * rows] and the law of every name. ---


def unit(rng, shape):
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def negative(rng, shape):
    return -np.abs(rng.standard_normal(shape))


def normal(rng, shape):
    return rng.standard_normal(shape)


def uniform(low, high):
    return lambda rng, shape: rng.uniform(low, high, shape)


KEY, VALUE = (KEY_HEADS, K), (VALUE_HEADS, V)
QUERY = {"q": (KEY, unit)}
GATE = {"g": ((VALUE_HEADS,), negative)}
CHANNEL_GATE = {"g": ((VALUE_HEADS, K), negative)}
BASE = {"k": (KEY, unit), "v": (VALUE, normal), "beta": ((VALUE_HEADS,), uniform(0, 1))}
BASE2 = {**BASE, "beta": ((VALUE_HEADS,), uniform(0, 2))}
WRITE = {"k": (KEY, unit), "v": (VALUE, normal)}

# name of the program: (its paper, its inputs, rows a token of k, v and beta)
LAYERS = {
    "delta-net": (delta_net, {**QUERY, **BASE}, 1),
    "gated-delta-net": (gated_delta_net, {**QUERY, **GATE, **BASE}, 1),
    "delta-product": (delta_product, {**QUERY, **BASE2}, 2),
    "gated-delta-product": (gated_delta_product, {**QUERY, **GATE, **BASE2}, 3),
    "kimi-delta-attention": (kimi_delta_attention, {**QUERY, **CHANNEL_GATE, **BASE}, 1),
    "gdn2": (gdn2, {**QUERY, **CHANNEL_GATE, "k": (KEY, unit), "b": (KEY, uniform(0, 1)), "v": (VALUE, normal), "w": (VALUE, uniform(0, 1))}, 1),
    "comba": (comba, {**QUERY, **GATE, "k": (KEY, unit), "p": (KEY, unit), "v": (VALUE, normal), "beta": ((VALUE_HEADS,), uniform(0, 1))}, 1),
    "preconditioned-gdn": (preconditioned, {**QUERY, **GATE, "k": (KEY, unit), "m": (KEY, uniform(0.5, 1.5)), "v": (VALUE, normal), "beta": ((VALUE_HEADS,), uniform(0, 1))}, 1),
    "preconditioned-kda": (preconditioned, {**QUERY, **CHANNEL_GATE, "k": (KEY, unit), "m": (KEY, uniform(0.5, 1.5)), "v": (VALUE, normal), "beta": ((VALUE_HEADS,), uniform(0, 1))}, 1),
    "rwkv7": (rwkv7, {"r": (KEY, normal), **CHANNEL_GATE, "kappa": (KEY, unit), "a": (KEY, uniform(0, 1)), **WRITE}, 1),
    "dplr": (dplr, {**QUERY, **CHANNEL_GATE, "p": (KEY, unit), "r": (KEY, unit), **WRITE}, 1),
    "linear-attention": (linear_attention, {**QUERY, **WRITE}, 1),
    "gated-linear-attention": (gated_linear_attention, {**QUERY, **CHANNEL_GATE, **WRITE}, 1),
    "mamba2": (mamba2, {"C": ((1, K), normal), **GATE, "B": ((1, K), normal), "x": (VALUE, normal), "dt": ((VALUE_HEADS,), uniform(0, 1))}, 1),
}


def make_inputs(layer, batch, time, sequences, seed=0):
    rng = np.random.default_rng(seed)
    _, laws, n = LAYERS[layer]
    rows = lambda name: time * n if name in ("k", "v", "beta") else time
    arrays = {name: law(rng, (batch, rows(name), *shape)) for name, (shape, law) in laws.items()}
    arrays["initial_state"] = rng.standard_normal((sequences, VALUE_HEADS, K, V))
    return arrays


def by_paper(layer, arrays, sequences):
    """Runs a layer's paper form on every head of every (batch row, begin, end)."""
    paper, laws, n = LAYERS[layer]
    first = arrays[next(iter(laws))]
    output = np.zeros((*first.shape[:2], VALUE_HEADS, V))
    final = np.zeros_like(arrays["initial_state"])
    for i, (b, begin, end) in enumerate(sequences):
        for h in range(VALUE_HEADS):
            head = {}
            for name in laws:
                x = arrays[name]
                rows = x.shape[1] // first.shape[1]
                head[name] = x[b, begin * rows : end * rows, h * x.shape[2] // VALUE_HEADS]
            o, S = paper(**head, S0=arrays["initial_state"][i, h])
            output[b, begin:end, h] = np.reshape(o, (end - begin, V))
            final[i, h] = S
    return output, final


def interpret(path, arrays, folder):
    inputs = []
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        inputs.append(f"--input={name}={folder / name}.npy")
    tool = BUILD / "bin" / "wyvern-translate"
    subprocess.run([tool, "--interpret", path, f"--output-dir={folder / 'out'}", *inputs], check=True)
    return tuple(np.load(folder / "out" / f"{name}.npy") for name in ("o", "final_state"))


def error(found, expected):
    assert found.shape == expected.shape
    return np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-300)


def program(layer):
    return PROGRAMS / f"{layer}.mlir"


@pytest.mark.parametrize("layer", LAYERS)
def test_agrees_with_its_paper(layer, tmp_path):
    arrays = make_inputs(layer, batch=2, time=9, sequences=2)
    expected = by_paper(layer, arrays, [(0, 0, 9), (1, 0, 9)])
    for found, wanted in zip(interpret(program(layer), arrays, tmp_path), expected):
        assert error(found, wanted) < 1e-13


@pytest.mark.parametrize("layer", LAYERS)
def test_packed_sequences(layer, tmp_path):
    """Lengths 4, 0 and 3; the last two of nine rows belong to nobody and are zero."""
    arrays = make_inputs(layer, batch=1, time=9, sequences=3)
    arrays["cu_seqlens"] = np.array([0, 4, 4, 7])
    expected = by_paper(layer, arrays, [(0, 0, 4), (0, 4, 4), (0, 4, 7)])
    found = interpret(program(layer), arrays, tmp_path)
    for array, wanted in zip(found, expected):
        assert error(array, wanted) < 1e-13
    assert not found[0][:, 7:].any()


def test_every_program_has_its_paper():
    """But for levels, which test_levels.py restates."""
    assert {path.stem for path in PROGRAMS.glob("*.mlir")} == set(LAYERS) | {"log-linear"}


def test_no_tokens(tmp_path):
    arrays = make_inputs("gated-delta-net", batch=2, time=0, sequences=2)
    output, final = interpret(program("gated-delta-net"), arrays, tmp_path)
    assert output.shape == (2, 0, VALUE_HEADS, V)
    assert np.array_equal(final, arrays["initial_state"])


def test_initial_state_defaults_to_zero(tmp_path):
    arrays = make_inputs("delta-net", batch=2, time=5, sequences=2)
    arrays["initial_state"][:] = 0
    expected = interpret(program("delta-net"), arrays, tmp_path)
    del arrays["initial_state"]
    for found, wanted in zip(interpret(program("delta-net"), arrays, tmp_path), expected):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_reads_npy(dtype, tmp_path):
    """Whole numbers survive every type that is read."""
    arrays = make_inputs("linear-attention", batch=1, time=3, sequences=1)
    arrays = {name: np.round(4 * x) for name, x in arrays.items()}
    expected = by_paper("linear-attention", arrays, [(0, 0, 3)])
    arrays["k"] = arrays["k"].astype(dtype)
    for found, wanted in zip(interpret(program("linear-attention"), arrays, tmp_path), expected):
        assert np.array_equal(found, wanted)
