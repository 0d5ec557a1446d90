# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops of a chunk program, compiled for the CPU, against their formulas.

Each test is a chunk program of one op, among them those that no forward layer uses:
adjoints, reverse scans, chunk dimensions.
"""

import itertools
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

_compiler = pytest.importorskip("wyvern._compiler", reason="built without the compiler")

BUILD = Path(os.environ.get("WYVERN_BUILD_DIR", Path(__file__).resolve().parents[2] / "build"))
D = 5
rng = np.random.default_rng(0)


def tensor(*shape, dtype="f64"):
    return f"tensor<{''.join(f'{size}x' for size in shape)}{dtype}>"


def run_map(inputs, out, body, chunk, compute="f64", passes=str):
    """Runs a chunk_map of one head, whose body makes %r, on B = 1, after `passes`.

    inputs: name -> (array, binding of its dimensions); out: (tile shape, binding).
    """
    types = {name: whole(binding, array.shape, compute) for name, (array, binding) in inputs.items()}
    arguments = ", ".join(f'%in_{name}: {type_} {{delta.name = "{name}"}}' for name, type_ in types.items())
    bound = ", ".join(f"%{name} = %in_{name}{inputs[name][1]} : {type_}" for name, type_ in types.items())
    tile, binding = out
    sizes = iter(tile)
    result = whole(binding, [next(sizes) if kind in ("time", "_") else 1 for kind in kinds(binding)], compute)
    text = f"""func.func @f({arguments}) -> ({result} {{delta.name = "out"}}) {{
      %0 = delta.chunk_map chunk = {chunk} heads = 1 compute = {compute} ins({bound})
          outs({binding} : {result}) valid(%n) {{
        {body}
        delta.yield outs(%r : {tensor(*tile, dtype=compute)})
      }}
      return %0 : {result}
    }}"""
    program = _compiler.compile_cpu(passes(text))
    [found] = program.run([array for array, _ in inputs.values()])
    return np.asarray(found)


def whole(binding, sizes, dtype):
    """The type of a bound tensor: static where it is whole or the one head."""
    return tensor(*[size if kind in ("head", "_") else "?" for kind, size in zip(kinds(binding), sizes)], dtype=dtype)


def kinds(binding):
    return [part.split()[0] for part in binding.strip("[]").split(",")]


def time_of(n, tile):
    """n rows a token, in a tile of so many rows, or of a chunk's."""
    return ("time" if n == 1 else f"time * {n}") + (f" in {tile}" if tile else "")


def rows_in(x, n=1, tile=None):
    """A tile as an in of one sequence and head."""
    time = time_of(n, tile)
    if x.ndim == 1:
        return x.reshape(1, -1, 1), f"[seq, {time}, head]"
    return x.reshape(1, x.shape[0], 1, x.shape[1]), f"[seq, {time}, head, _]"


def rows_out(shape, n=1, tile=None):
    time = time_of(n, tile)
    return shape, f"[seq, {time}, head{', _' if len(shape) == 2 else ''}]"


def weights(mask, g, before_decay, na, nb, tokens):
    """[i, j, d] of exp(h_id - p_jd), 0 where the mask does not keep (i, j)."""
    w = np.zeros((tokens * na, tokens * nb, D))
    for i, j in itertools.product(range(tokens * na), range(tokens * nb)):
        t, u = i // na, j // nb
        if {"upto_token": u <= t, "before_token": u < t, "before_row": j < i}[mask]:
            between = np.zeros(D) if g is None else g[u + 1 : t + (not before_decay)].reshape(-1, g.shape[1] if g.ndim == 2 else 1)
            w[i, j] = np.exp(between.sum(axis=0)) if g is not None else 1
    return w


CASES = [
    (mask, decay, before, rows)
    for mask in ("upto_token", "before_token", "before_row")
    for decay in (None, "head", "channel")
    for before in (False, True)
    for rows in ((1, 1), (1, 3), (2, 2))
    if not (before and mask != "before_token") and not (mask == "before_row" and rows[0] != rows[1])
]


def decay_clause(decay, before, rows, tokens):
    clause = "" if decay is None else f"decay(%g : {tensor(tokens) if decay == 'head' else tensor(tokens, D)})"
    return f"{clause} {'before_decay' if before else ''} rows [{rows[0]}, {rows[1]}]"


def gate(decay, tokens):
    shape = (tokens,) if decay == "head" else (tokens, D)
    return -3 * rng.random(shape)


def check_decay_dot(mask, decay, before, rows, tokens, g, passes=str, atol=1e-12):
    na, nb = rows
    a, b = rng.standard_normal((tokens * na, D)), rng.standard_normal((tokens * nb, D))
    inputs = {"a": rows_in(a, na), "b": rows_in(b, nb)} | ({} if g is None else {"g": rows_in(g)})
    shape = (tokens * na, tokens * nb)
    body = f"%r = delta.decay_dot {mask} %a, %b {decay_clause(decay, before, rows, tokens)} : {tensor(*a.shape)}, {tensor(*b.shape)} -> {tensor(*shape)}"
    found = run_map(inputs, rows_out(shape, na), body, tokens, passes=passes)
    expected = np.einsum("id,jd,ijd->ij", a, b, weights(mask, g, before, na, nb, tokens))
    np.testing.assert_allclose(found.reshape(shape), expected, atol=atol)


def check_decay_apply(mask, decay, before, rows, tokens, transpose, g, passes=str, atol=1e-12):
    na, nb = rows
    m = rng.standard_normal((tokens * na, tokens * nb))
    kept = weights(mask, None, before, na, nb, tokens)[:, :, 0] > 0
    x = rng.standard_normal((tokens * (na if transpose else nb), D))
    # Masked entries of m are not read.
    inputs = {"m": rows_in(np.where(kept, m, np.nan), na), "x": rows_in(x, na if transpose else nb)} | ({} if g is None else {"g": rows_in(g)})
    n = nb if transpose else na
    shape = (tokens * n, D)
    body = f"%r = delta.decay_apply {mask} {'transpose' if transpose else ''} %m, %x {decay_clause(decay, before, rows, tokens)} : {tensor(*m.shape)}, {tensor(*x.shape)} -> {tensor(*shape)}"
    found = run_map(inputs, rows_out(shape, n), body, tokens, passes=passes)
    w = weights(mask, g, before, na, nb, tokens)
    expected = np.einsum("ij,id,ijd->jd" if transpose else "ij,jd,ijd->id", np.where(kept, m, 0), x, w)
    np.testing.assert_allclose(found.reshape(shape), expected, atol=atol)


@pytest.mark.parametrize("tokens", [7, 8])
@pytest.mark.parametrize("mask,decay,before,rows", CASES)
def test_decay_dot(mask, decay, before, rows, tokens):
    check_decay_dot(mask, decay, before, rows, tokens, gate(decay, tokens) if decay else None)


# Tiles go on behind the rows of a chunk: to the middle of a token, and not all to the same one.
ROOM = {"a": 1, "b": 4, "g": 5}
IN_ROOM = [
    (mask, decay, before, rows)
    for mask, decay, before, _ in CASES
    for rows in ((1, 3), (3, 3))
    if not (mask == "before_row" and rows[0] != rows[1])
]


def with_room(inputs, tokens, rows):
    """Ins in tiles with room behind the rows of a chunk, and these tiles' rows."""
    tiles = {name: tokens * n + ROOM[name] for name, n in zip("abg", (*rows, 1))}
    return {name: rows_in(x, n, tiles[side]) for name, (x, n, side) in inputs.items()}, tiles


@pytest.mark.parametrize("mask,decay,before,rows", IN_ROOM)
def test_decay_dot_of_larger_tiles(mask, decay, before, rows, tokens=5):
    na, nb = rows
    g = gate(decay, tokens) if decay else None
    a, b = rng.standard_normal((tokens * na, D)), rng.standard_normal((tokens * nb, D))
    inputs, tiles = with_room({"a": (a, na, "a"), "b": (b, nb, "b")} | ({} if g is None else {"g": (g, 1, "g")}), tokens, rows)
    shape = (tiles["a"], tiles["b"])
    body = f"%r = delta.decay_dot {mask} %a, %b {decay_clause(decay, before, rows, tiles['g'])} : {tensor(tiles['a'], D)}, {tensor(tiles['b'], D)} -> {tensor(*shape)}"
    found = run_map(inputs, rows_out(shape, na, tiles["a"]), body, tokens)
    expected = np.zeros((tokens * na, tiles["b"]))
    expected[:, : tokens * nb] = np.einsum("id,jd,ijd->ij", a, b, weights(mask, g, before, na, nb, tokens))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-12)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("mask,decay,before,rows", IN_ROOM)
def test_decay_apply_of_larger_tiles(mask, decay, before, rows, transpose, tokens=5):
    na, nb = rows
    g = gate(decay, tokens) if decay else None
    m = np.full((tokens * na, tokens * nb + ROOM["b"]), np.nan)
    kept = weights(mask, None, before, na, nb, tokens)[:, :, 0] > 0
    m[:, : tokens * nb][kept] = rng.standard_normal(kept.sum())
    x, other = rng.standard_normal((tokens * (na if transpose else nb), D)), "b" if transpose else "a"
    read = ("a", na) if transpose else ("b", nb)
    inputs, tiles = with_room(
        {"m": (m, na, "a"), "x": (x, read[1], read[0])} | ({} if g is None else {"g": (g, 1, "g")}), tokens, rows
    )
    n, shape = (nb if transpose else na), (tiles[other], D)
    body = f"%r = delta.decay_apply {mask} {'transpose' if transpose else ''} %m, %x {decay_clause(decay, before, rows, tiles['g'])} : {tensor(tiles['a'], tiles['b'])}, {tensor(tiles[read[0]], D)} -> {tensor(*shape)}"
    found = run_map(inputs, rows_out(shape, n, tiles[other]), body, tokens)
    w = weights(mask, g, before, na, nb, tokens)
    expected = np.einsum("ij,id,ijd->jd" if transpose else "ij,jd,ijd->id", np.nan_to_num(m[:, : tokens * nb]), x, w)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-12)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("mask,decay,before,rows", CASES)
def test_decay_apply(mask, decay, before, rows, transpose, tokens=7):
    check_decay_apply(mask, decay, before, rows, tokens, transpose, gate(decay, tokens) if decay else None)


HALVED = [case for case in CASES if case[1] == "channel"]


def halved(near):
    """Makes a program's decay products of plain ones, those of near tokens as one."""

    def run(text):
        command = [BUILD / "bin" / "wyvern-opt", f"-delta-halve-decay=near={near}", "-"]
        out = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
        assert "decay_dot" not in out and "decay_apply" not in out
        return out

    return run


# Decays of 8 near tokens are right to e^-16, of fewer better than f64.
NEAR = [(1, 1e-12), (2, 1e-12), (4, 1e-12), (8, 1e-6)]


def closed_gate(decay, tokens):
    """One with entries and a row of -inf: no factor is the quotient of two."""
    g = gate(decay, tokens)
    g[2, 1] = g[5] = -np.inf
    return g


@pytest.mark.parametrize("near,atol", NEAR)
@pytest.mark.parametrize("tokens", [7, 8])
@pytest.mark.parametrize("mask,decay,before,rows", HALVED)
def test_halve_decay_dot(mask, decay, before, rows, tokens, near, atol):
    check_decay_dot(mask, decay, before, rows, tokens, closed_gate(decay, tokens), halved(near), atol)


@pytest.mark.parametrize("near,atol", NEAR)
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("mask,decay,before,rows", HALVED)
def test_halve_decay_apply(mask, decay, before, rows, transpose, near, atol, tokens=7):
    check_decay_apply(mask, decay, before, rows, tokens, transpose, closed_gate(decay, tokens), halved(near), atol)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("half", [1, 2, 4])
@pytest.mark.parametrize("rank", [1, 2])
def test_sum_to_middle(rank, half, before, tokens=7):
    g = gate("channel" if rank == 2 else "head", tokens)
    body = f"%r = delta.sum_to_middle %g half {half} {'before_decay' if before else ''} : {tensor(*g.shape)}"
    found = run_map({"g": rows_in(g)}, rows_out(g.shape), body, tokens).reshape(g.shape)
    for t in range(tokens):
        middle = t // (2 * half) * 2 * half + half
        summed = g[middle : t + (not before)] if t >= middle else g[t + 1 : middle]
        np.testing.assert_allclose(found[t], summed.sum(axis=0), atol=1e-13)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("half", [1, 2, 4])
@pytest.mark.parametrize("rank", [1, 2])
def test_signed_sum_to_middle(rank, half, before, tokens=7):
    """Running sums that are 0 in the middle, of gates that are bounded."""
    least = -64 / half
    g = gate("channel" if rank == 2 else "head", tokens)
    g[2], g[5] = -np.inf, least - 1
    body = f"%r = delta.sum_to_middle %g half {half} signed {'before_decay' if before else ''} : {tensor(*g.shape)}"
    found = run_map({"g": rows_in(g)}, rows_out(g.shape), body, tokens).reshape(g.shape)
    g = np.maximum(g, least)
    for t in range(tokens):
        middle = t // (2 * half) * 2 * half + half
        end = t + (not before)
        wanted = g[middle:end].sum(axis=0) if t >= middle else -g[end:middle].sum(axis=0)
        np.testing.assert_allclose(found[t], wanted, atol=1e-12)


@pytest.mark.parametrize("near", [1, 2, 4])
@pytest.mark.parametrize("mask,rows", [(mask, rows) for mask, decay, before, rows in CASES if not decay])
def test_near_of_mask(mask, rows, near, tokens=7):
    """Pairs of one block stay, and no other entry is read."""
    na, nb = rows
    m = rng.standard_normal((tokens * na, tokens * nb))
    t, u = np.arange(tokens * na)[:, None] // na, np.arange(tokens * nb)[None] // nb
    kept = (t // near == u // near) & (weights(mask, None, False, na, nb, tokens)[:, :, 0] > 0)
    body = f"%r = delta.decay_mask {mask} %m rows [{na}, {nb}] near {near} : {tensor(*m.shape)}"
    found = run_map({"m": rows_in(np.where(kept, m, np.nan), na)}, rows_out(m.shape, na), body, tokens)
    np.testing.assert_array_equal(found.reshape(m.shape), np.where(kept, m, 0))


@pytest.mark.parametrize("half", [1, 2, 4])
@pytest.mark.parametrize("mask,rows", [(mask, rows) for mask, decay, before, rows in CASES if not decay])
def test_half_of_mask(mask, rows, half, tokens=7):
    """Of the pairs that the mask keeps those of one half stay, and no other entry is read."""
    na, nb = rows
    m = rng.standard_normal((tokens * na, tokens * nb))
    t, u = np.arange(tokens * na)[:, None] // na, np.arange(tokens * nb)[None] // nb
    pair = (t // (2 * half) == u // (2 * half)) & (t % (2 * half) >= half) & (u % (2 * half) < half)
    kept = pair & (weights(mask, None, False, na, nb, tokens)[:, :, 0] > 0)
    body = f"%r = delta.decay_mask {mask} %m rows [{na}, {nb}] half {half} : {tensor(*m.shape)}"
    found = run_map({"m": rows_in(np.where(kept, m, np.nan), na)}, rows_out(m.shape, na), body, tokens)
    np.testing.assert_array_equal(found.reshape(m.shape), np.where(kept, m, 0))


@pytest.mark.parametrize("mask,decay,before,rows", [case for case in CASES if case[1] != "channel"])
def test_decay_mask(mask, decay, before, rows, tokens=7):
    na, nb = rows
    m = rng.standard_normal((tokens * na, tokens * nb))
    kept = weights(mask, None, before, na, nb, tokens)[:, :, 0] > 0
    inputs = {"m": rows_in(np.where(kept, m, np.nan), na)}
    g = None
    if decay:
        g = gate(decay, tokens)
        inputs["g"] = rows_in(g)
    body = f"%r = delta.decay_mask {mask} %m {decay_clause(decay, before, rows, tokens)} : {tensor(*m.shape)}"
    found = run_map(inputs, rows_out(m.shape, na), body, tokens).reshape(m.shape)
    expected = np.where(kept, m, 0) * weights(mask, g, before, na, nb, tokens)[:, :, 0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("decay", ["head", "channel"])
def test_decay_dot_float32_does_not_cancel(decay, tokens=64):
    """Gates of -8 for 30 tokens, then -0.01: a difference of prefix sums loses 7e-5."""
    g = np.where(np.arange(tokens) < 30, -8.0, -0.01).astype(np.float32)
    g = np.repeat(g[:, None], D, 1) if decay == "channel" else g
    a, b = (rng.standard_normal((tokens, D)).astype(np.float32) for _ in range(2))
    f32 = lambda *shape: tensor(*shape, dtype="f32")
    body = f"%r = delta.decay_dot upto_token %a, %b decay(%g : {f32(*g.shape)}) : {f32(tokens, D)}, {f32(tokens, D)} -> {f32(tokens, tokens)}"
    inputs = {"a": rows_in(a), "b": rows_in(b), "g": rows_in(g)}
    found = run_map(inputs, rows_out((tokens, tokens)), body, tokens, compute="f32").reshape(tokens, tokens)
    expected = np.einsum("id,jd,ijd->ij", *(x.astype(float) for x in (a, b)), weights("upto_token", g.astype(float), False, 1, 1, tokens))
    assert np.linalg.norm(found - expected) < 1e-6 * np.linalg.norm(expected)


N = 9


@pytest.fixture
def system():
    """L with NaN where it is not read, its strictly lower triangle, rates, a rhs."""
    l = rng.standard_normal((N, N))
    rate = rng.uniform(0, 2, N)
    rate[3] = 0
    upper = np.where(np.tri(N, k=-1) > 0, l, np.nan)
    return upper, np.tril(l, -1), rate, rng.standard_normal((N, D))


def test_erase_solve(system):
    upper, l, rate, w = system
    inputs = {"l": rows_in(upper), "c": rows_in(rate), "w": rows_in(w)}
    types = f"{tensor(N, N)}, {tensor(N)}, {tensor(N, D)} -> {tensor(N, D)}, {tensor(N, D)}"
    expected = np.linalg.solve(np.eye(N) + l * rate, w)
    for results, wanted in (("%r, %u", expected), ("%u, %r", rate[:, None] * expected)):
        found = run_map(inputs, rows_out((N, D)), f"{results} = delta.erase_solve %l, %c, %w : {types}", N)
        np.testing.assert_allclose(found.reshape(N, D), wanted, atol=1e-9)


def test_erase_solve_adjoint(system):
    upper, l, rate, du = system
    inputs = {"l": rows_in(upper), "c": rows_in(rate), "du": rows_in(du)}
    body = f"%r = delta.erase_solve_adjoint %l, %c, %du : {tensor(N, N)}, {tensor(N)}, {tensor(N, D)} -> {tensor(N, D)}"
    found = run_map(inputs, rows_out((N, D)), body, N)
    expected = np.linalg.solve((np.eye(N) + rate[:, None] * l).T, du)
    np.testing.assert_allclose(found.reshape(N, D), expected, atol=1e-9)


def test_erase_factor(system):
    upper, l, rate, _ = system
    body = f"%r = delta.erase_factor %l, %c : {tensor(N, N)}, {tensor(N)} -> {tensor(N, N)}"
    found = run_map({"l": rows_in(upper), "c": rows_in(rate)}, rows_out((N, N)), body, N)
    expected = np.linalg.solve(np.eye(N) + l * rate, l)
    np.testing.assert_allclose(found.reshape(N, N), expected, atol=1e-9)


def split_blocks(x, block):
    """[i, j] is block (i, j) of a matrix."""
    return x.reshape(N // block, block, N // block, block).swapaxes(1, 2)


def test_erase_factor_blocks(system, block=3):
    """On the diagonal factors, left of it L, above it what rounding takes away, untransposed."""
    upper, l, rate, _ = system
    body = f"%r = delta.erase_factor %l, %c block {block} to f32 : {tensor(N, N)}, {tensor(N)} -> {tensor(N, N)}"
    found = run_map({"l": rows_in(upper), "c": rows_in(rate)}, rows_out((N, N)), body, N).reshape(N, N)
    found, l, rates = split_blocks(found, block), split_blocks(l, block), rate.reshape(-1, block)
    for i in range(N // block):
        expected = np.linalg.solve(np.eye(block) + l[i, i] * rates[i], l[i, i])
        np.testing.assert_allclose(found[i, i], expected, atol=1e-9)
        for j in range(i):
            np.testing.assert_array_equal(found[i, j], l[i, j])
            np.testing.assert_array_equal(found[j, i], l[i, j] - l[i, j].astype(np.float32))
            assert np.any(found[j, i])


@pytest.mark.parametrize("adjoint", ["", "adjoint"])
@pytest.mark.parametrize("block", ["", "block 3"])
def test_erase_apply(system, adjoint, block):
    """By its factor, a system is solved as by erase_solve."""
    upper, l, rate, w = system
    body = f"""%z = delta.erase_factor %l, %c {block} : {tensor(N, N)}, {tensor(N)} -> {tensor(N, N)}
        %r = delta.erase_apply {adjoint} %z, %c, %w {block} : {tensor(N, N)}, {tensor(N)}, {tensor(N, D)}"""
    found = run_map({"l": rows_in(upper), "c": rows_in(rate), "w": rows_in(w)}, rows_out((N, D)), body, N)
    matrix = (np.eye(N) + rate[:, None] * l).T if adjoint else np.eye(N) + l * rate
    np.testing.assert_allclose(found.reshape(N, D), np.linalg.solve(matrix, w), atol=1e-9)


@pytest.mark.parametrize("adjoint", [False, True])
def test_erase_apply_rounds_to_the_type_of_its_factor(system, adjoint, block=3):
    """Operands are rounded, sums are not; L is the sum of its two parts."""
    _, l, rate, w = system
    half = lambda x: x.astype(np.float16).astype(np.float32)
    z = half(rng.standard_normal((N, N)))
    z16 = tensor(N, N, dtype="f16")
    body = f"""%h = arith.truncf %z : {tensor(N, N, dtype="f32")} to {z16}
        %r = delta.erase_apply {"adjoint" if adjoint else ""} %h, %c, %w block {block} : {z16}, {tensor(N, dtype="f32")}, {tensor(N, D, dtype="f32")}"""
    w, rate = w.astype(np.float32), rate.astype(np.float32)
    inputs = {"z": rows_in(z), "c": rows_in(rate), "w": rows_in(w)}
    found = run_map(inputs, rows_out((N, D)), body, N, compute="f32").reshape(N, D)
    blocks, rates, r = split_blocks(z, block), rate.reshape(-1, block, 1), w.reshape(-1, block, D).copy()
    turn = np.transpose if adjoint else lambda x: x
    order = list(range(N // block))[:: -1 if adjoint else 1]
    for n, i in enumerate(order):
        for j in order[:n]:
            r[i] -= turn(blocks[i, j] + blocks[j, i]) @ half(rates[j] * r[j])
        r[i] -= turn(blocks[i, i]) @ half(rates[i] * r[i])
    np.testing.assert_allclose(found, r.reshape(N, D), atol=2e-5 * np.abs(r).max())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("shape", [(6,), (6, D)])
def test_cumsum(reverse, exclusive, shape):
    x = rng.standard_normal(shape)
    body = f"%r = delta.cumsum {'reverse' if reverse else ''} {'exclusive' if exclusive else ''} %x : {tensor(*shape)}"
    found = run_map({"x": rows_in(x)}, rows_out(shape), body, 6)
    flipped = x[::-1] if reverse else x
    expected = np.cumsum(flipped, axis=0) - (flipped if exclusive else 0)
    np.testing.assert_allclose(found.reshape(shape), expected[::-1] if reverse else expected, atol=1e-13)


def test_mask_rows_keeps_nan_out():
    """softplus-like: 1 / 0 in the rows past the end is masked, not multiplied by 0."""
    x = np.arange(1.0, 11.0)
    body = f"""%one = arith.constant dense<1.0> : {tensor(8)}
        %inverse = arith.divf %one, %x : {tensor(8)}
        %kept = delta.mask_rows %inverse, %n : {tensor(8)}
        %z = arith.constant dense<0.0> : tensor<f64>
        %sum = linalg.reduce {{arith.addf}} ins(%kept : {tensor(8)}) outs(%z : tensor<f64>) dimensions = [0]
        %e = tensor.empty() : {tensor(8)}
        %r = linalg.broadcast ins(%sum : tensor<f64>) outs(%e : {tensor(8)}) dimensions = [0]"""
    found = run_map({"x": rows_in(x)}, rows_out((8,)), body, 8).reshape(-1)
    np.testing.assert_allclose(found, [np.sum(1 / x[:8])] * 8 + [np.sum(1 / x[8:])] * 2)


def test_repeat_rows():
    x = rng.standard_normal((4, D))
    body = f"%r = delta.repeat_rows %x by 3 : {tensor(4, D)} -> {tensor(12, D)}"
    found = run_map({"x": rows_in(x)}, rows_out((12, D), 3), body, 4)
    assert np.array_equal(found.reshape(12, D), np.repeat(x, 3, axis=0))


@pytest.mark.parametrize("tile", [12, 13, 17])
def test_repeat_rows_of_larger_tiles(tile):
    x = rng.standard_normal((4, D))
    body = f"%r = delta.repeat_rows %x by 3 : {tensor(6, D)} -> {tensor(tile, D)}"
    found = run_map({"x": rows_in(x, 1, 6)}, rows_out((tile, D), 3, tile), body, 4)
    assert np.array_equal(found.reshape(12, D), np.repeat(x, 3, axis=0))


@pytest.mark.parametrize("tile", [12, 13, 17])
def test_sum_rows_of_larger_tiles(tile):
    x = rng.standard_normal((12, D))
    body = f"%r = delta.sum_rows %x by 3 : {tensor(tile, D)} -> {tensor(6, D)}"
    found = run_map({"x": rows_in(x, 3, tile)}, rows_out((6, D), 1, 6), body, 4)
    np.testing.assert_allclose(found.reshape(4, D), x.reshape(4, 3, D).sum(axis=1), atol=1e-12)


SCAN = """
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @f(%x: tensor<?x?x1x3xf64> {{delta.name = "x"}}, %s0: tensor<?x1x3x3xf64> {{delta.name = "s0"}},
    %cu: tensor<?xi64> {{delta.name = "cu_seqlens"}}) -> (tensor<?x?x1x3xf64> {{delta.name = "o"}}, tensor<?x1x3x3xf64> {{delta.name = "s"}}) {{
  %states, %s = delta.chunk_scan {direction} chunk = 4 heads = 1 compute = f64
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x3xf64>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x3x3xf64>) cu_seqlens(%cu : tensor<?xi64>)
      outs([chunk, head, _, _] : tensor<?x1x3x3xf64>) valid(%n) {{
    %half = arith.constant dense<0.5> : tensor<3x3xf64>
    %S1 = arith.mulf %S, %half : tensor<3x3xf64>
    %S2 = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, #mn]
        ins(%X, %X : tensor<4x3xf64>, tensor<4x3xf64>) outs(%S1 : tensor<3x3xf64>) -> tensor<3x3xf64>
    delta.yield outs(%S : tensor<3x3xf64>) carry(%S2 : tensor<3x3xf64>)
  }}
  %o = delta.chunk_map chunk = 4 heads = 1 compute = f64
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x3xf64>, %S = %states[chunk, head, _, _] : tensor<?x1x3x3xf64>)
      cu_seqlens(%cu : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x1x3xf64>) valid(%n) {{
    %zero = arith.constant dense<0.0> : tensor<4x3xf64>
    %XS = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, #mn]
        ins(%X, %S : tensor<4x3xf64>, tensor<3x3xf64>) outs(%zero : tensor<4x3xf64>) -> tensor<4x3xf64>
    delta.yield outs(%XS : tensor<4x3xf64>)
  }}
  return %o, %s : tensor<?x?x1x3xf64>, tensor<?x1x3x3xf64>
}}
"""


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("cu", [None, [0, 4, 4, 9, 10, 22], [0]])
def test_chunk_states_forward_and_reverse(direction, cu):
    """The state before every chunk, stored by slot and read back by another program."""
    x = rng.standard_normal((2 if cu is None else 1, 23, 1, 3))
    ranges = [(b, 0, 23) for b in range(2)] if cu is None else [(0, *pair) for pair in zip(cu, cu[1:])]
    s0 = rng.standard_normal((len(ranges), 1, 3, 3))
    o, s = np.zeros_like(x), s0.copy()
    for i, (b, begin, end) in enumerate(ranges):
        starts = list(range(begin, end, 4))
        for start in starts if direction == "forward" else starts[::-1]:
            tile = x[b, start : min(start + 4, end), 0]
            o[b, start : min(start + 4, end), 0] = tile @ s[i, 0]
            s[i, 0] = 0.5 * s[i, 0] + tile.T @ tile
    program = _compiler.compile_cpu(SCAN.format(direction=direction))
    found = program.run([x, s0, np.array(cu or [], np.int64)])
    for array, expected in zip(found, (o, s)):
        np.testing.assert_allclose(np.asarray(array), expected, atol=1e-12)


def test_carries_that_change_places():
    """Two carries that are handed on crosswise: neither overwrites the other."""
    text = """func.func @f(%x: tensor<?x?x1xf64> {delta.name = "x"}, %a0: tensor<?x1xf64> {delta.name = "a0"}, %b0: tensor<?x1xf64> {delta.name = "b0"})
        -> (tensor<?x1xf64> {delta.name = "a"}, tensor<?x1xf64> {delta.name = "b"}) {
      %a, %b = delta.chunk_scan forward chunk = 4 heads = 1 compute = f64
          ins(%X = %x[seq, time, head] : tensor<?x?x1xf64>)
          carry(%A = %a0[seq, head] : tensor<?x1xf64>, %B = %b0[seq, head] : tensor<?x1xf64>) outs() valid(%n) {
        delta.yield carry(%B, %A : tensor<f64>, tensor<f64>)
      }
      return %a, %b : tensor<?x1xf64>, tensor<?x1xf64>
    }"""
    found = _compiler.compile_cpu(text).run([np.zeros((1, 12, 1)), np.array([[1.0]]), np.array([[2.0]])])
    assert [np.asarray(x).item() for x in found] == [2.0, 1.0]
