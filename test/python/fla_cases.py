# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What test_integrations_fla.py checks, in a process of its own that has FLA and Triton.

Prints what went wrong in each case, as JSON. FLA's own kernels need a GPU: where a call
is left to FLA, it is Triton that fails.
"""

import importlib
import json
import os
import sys
import threading
import traceback
import warnings

warnings.simplefilter("ignore")

import fla.backends
import fla.layers
import fla.ops.comba
import fla.ops.delta_rule
import fla.ops.gated_delta_product
import fla.ops.gated_delta_rule
import fla.ops.gated_oja_rule
import fla.ops.gdn2
import fla.ops.generalized_delta_rule
import fla.ops.gla
import fla.ops.kda
import fla.ops.log_linear_attn
import fla.ops.precond_kda
import fla.ops.rwkv7
import fla.ops.simple_gla
import torch
from fla.backends import _operation_registries
from fla.ops.comba.naive import naive_chunk_comba
from fla.ops.delta_rule import chunk_delta_rule
from fla.ops.delta_rule.naive import delta_rule_recurrence
from fla.ops.gated_delta_product.naive import naive_recurrent_gated_delta_product
from fla.ops.gated_delta_rule import chunk_gated_delta_rule, naive_recurrent_gated_delta_rule
from fla.ops.gdn2.naive import naive_recurrent_gdn2
from fla.ops.generalized_delta_rule.dplr.naive import dplr_recurrence
from fla.ops.gla.naive import naive_recurrent_gla
from fla.ops.kda.fused_recurrent import fused_recurrent_kda_fwd
from fla.ops.kda.naive import naive_recurrent_kda
from fla.ops.precond_kda.naive import naive_recurrent_precond_kda
from fla.ops.simple_gla.naive import naive_recurrent_simple_gla

from wyvern.integrations import fla as integration


def operands(tokens=70, heads=4):
    torch.manual_seed(0)
    q, k = torch.nn.functional.normalize(torch.randn(2, 1, tokens, heads, 8), dim=-1)
    v = torch.randn(1, tokens, 4, 8)
    return {"q": q, "k": k, "v": v, "g": -torch.rand(1, tokens, 4), "beta": torch.rand(1, tokens, 4)}


def close(x, expected):
    assert (x - expected).norm() < 1e-5 * expected.norm()


def fails_in_triton(function, *args, **kwargs):
    """A call that FLA's own code gets."""
    try:
        function(*args, **kwargs)
    except RuntimeError as error:
        assert "driver" in str(error), error
    else:
        raise AssertionError("FLA's kernels have run, or wyvern's")


def only(table):
    (item,) = table.items()
    return item


# === Served ===


def case_dispatched():
    """Through FLA's backends, forward and backward, with what FLA computes in kernels."""
    x = operands(heads=2)
    leaves = [y.requires_grad_() for y in x.values()]
    wide = {name: x[name].repeat_interleave(2, 2) for name in ("q", "k")}
    expected, state = naive_recurrent_gated_delta_rule(**(x | wide), output_final_state=True)
    o, final_state = chunk_gated_delta_rule(**x, output_final_state=True)
    close(o, expected)
    close(final_state, state)
    gradients = torch.autograd.grad(o.sum() + final_state.sum(), leaves)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected.sum() + state.sum(), leaves)):
        close(ours, theirs)
    assert integration.status().served == {"chunk_gated_delta_rule": 1}
    order = [x.backend_type for x in _operation_registries["gated_delta_rule"]._get_sorted_backends()]
    assert order.index("wyvern") < order.index("flash_qla")


def case_switched_off_by_the_environment():
    os.environ["FLA_WYVERN"] = "0"
    try:
        fails_in_triton(chunk_gated_delta_rule, **operands())
    finally:
        del os.environ["FLA_WYVERN"]
    assert integration.status().served == {}


def case_rebound():
    """Where FLA does not dispatch, in the modules that have imported a function too."""
    x = operands()
    x.pop("g")
    o, _ = chunk_delta_rule(**x)
    turned = {name: x[name].transpose(1, 2) for name in ("q", "k", "v", "beta")}
    close(o, delta_rule_recurrence(**turned)[0].transpose(1, 2))
    close(fla.ops.delta_rule.fused_recurrent_delta_rule(**x)[0], o)
    zero = torch.zeros_like(x["beta"])
    close(fla.ops.gated_delta_rule.fused_recurrent_gated_delta_rule(**x, g=zero)[0], o)
    names = ["chunk_delta_rule", "fused_recurrent_delta_rule", "fused_recurrent_gated_delta_rule"]
    assert integration.status().served == dict.fromkeys(names, 1)
    assert fla.ops.chunk_delta_rule is chunk_delta_rule is fla.ops.delta_rule.chunk_delta_rule


def product_operands(gated=True):
    """Those of Gated DeltaProduct with two rows a token."""
    rows = operands(tokens=140)
    return operands() | {name: rows[name] for name in ("k", "v", "beta")} | ({} if gated else {"g": None})


def compare_products(gated=True, sequences=1, **arguments):
    """Compares a call, forward and backward, with FLA's recurrence in torch."""
    x = product_operands(gated) | {"initial_state": torch.randn(sequences, 4, 8, 8)}
    leaves = [y.requires_grad_() for y in x.values() if y is not None]
    call = x | {"num_householder": 2, "output_final_state": True} | arguments
    found = fla.ops.gated_delta_product.chunk_gated_delta_product(**call)
    expected = naive_recurrent_gated_delta_product(**({"scale": 8**-0.5} | call))
    weights = [torch.randn_like(y) for y in expected]
    gradients = [torch.autograd.grad(y, leaves, weights) for y in (found, expected)]
    for ours, theirs in zip([*found, *gradients[0]], [*expected, *gradients[1]]):
        close(ours, theirs)


def case_delta_product():
    compare_products()
    compare_products(gated=False)
    compare_products(sequences=3, cu_seqlens=torch.tensor([0, 30, 30, 70]), scale=0.2)
    x = product_operands() | {"num_householder": 2}
    o, state = fla.ops.gated_delta_product.chunk_gated_delta_product(**x)
    x |= {"k": 3 * x["k"], "use_qk_l2norm_in_kernel": True}
    close(fla.ops.gated_delta_product.chunk_gated_delta_product(**x)[0], o)
    assert state is None and integration.status().served == {"chunk_gated_delta_product": 5}


def family_operands(channels=True):
    x = operands()
    x.pop("beta")
    return x | ({"g": -torch.rand(1, 70, 4, 8)} if channels else {})


def same_as(found, expected, leaves):
    """Compares results, and gradients by weights of one's own."""
    weights = [torch.randn_like(y) for y in expected]
    gradients = [torch.autograd.grad(y, leaves, weights) for y in (found, expected)]
    for ours, theirs in zip([*found, *gradients[0]], [*expected, *gradients[1]]):
        close(ours, theirs)


def compare_family(function, naive, x):
    """Compares one of FLA's functions with its recurrence in torch, forward and backward."""
    leaves = [y.requires_grad_() for y in x.values()]
    same_as(function(**x, output_final_state=True), naive(**x, output_final_state=True), leaves)


def case_the_family():
    """Each function by another of FLA's own definitions."""
    rates = {"beta": torch.rand(1, 70, 4)}
    compare_family(fla.ops.kda.chunk_kda, naive_recurrent_kda, family_operands() | rates)
    gates = {"b": torch.rand(1, 70, 4, 8), "w": torch.rand(1, 70, 4, 8)}
    compare_family(fla.ops.gdn2.chunk_gdn2, naive_recurrent_gdn2, family_operands() | gates)
    p = {"p": 0.5 * torch.randn(1, 70, 4, 8)}
    compare_family(fla.ops.comba.chunk_comba, naive_chunk_comba, family_operands(channels=False) | p | rates)
    compare_family(fla.ops.simple_gla.chunk_simple_gla, naive_recurrent_simple_gla, family_operands(channels=False))
    atk = {"g_atk": -torch.rand(1, 70, 4), "beta_atk": torch.rand(1, 70, 4)}
    normed = lambda q, k, **x: naive_recurrent_precond_kda(*(torch.nn.functional.normalize(y, dim=-1) for y in (q, k)), **x)
    compare_family(fla.ops.precond_kda.chunk_precond_kda, normed, family_operands() | atk | rates)
    x = family_operands()
    gk = x.pop("g")
    compare_family(lambda gk, **x: fla.ops.gla.chunk_gla(g=gk, **x), naive_recurrent_gla, x | {"gk": gk})
    served = ["chunk_kda", "chunk_gdn2", "chunk_comba", "chunk_simple_gla", "chunk_precond_kda", "chunk_gla"]
    assert integration.status().served == dict.fromkeys(served, 1)


def case_diagonal_plus_low_rank():
    """RWKV-7 is DPLR by other names, and with other defaults."""
    x = family_operands()
    a = torch.nn.functional.normalize(torch.randn(1, 70, 4, 8), dim=-1)
    x |= {"alpha": -a, "beta": torch.rand_like(a) * a, "gk": x.pop("g")}
    turned = {name: y.transpose(1, 2) for name, y in x.items()}
    o, state = dplr_recurrence(**turned)
    a, b, gk = (x.pop(name) for name in ("alpha", "beta", "gk"))
    ops = fla.ops.generalized_delta_rule
    for found in (
        ops.chunk_dplr_delta_rule(**x, a=a, b=b, gk=gk, output_final_state=True, safe_gate=True, chunk_size=16),
        ops.fused_recurrent_dplr_delta_rule(**x, a=a, b=b, gk=gk, output_final_state=True),
        fla.ops.rwkv7.fused_recurrent_rwkv7(x["q"], gk, x["k"], x["v"], a, b),
        fla.ops.rwkv7.chunk_rwkv7(x["q"], gk, x["k"], x["v"], a, b, 8**-0.5, output_final_state=True),
    ):
        close(found[0], o.transpose(1, 2))
        close(found[1], state)
    assert list(integration.status().served.values()) == [1] * 4


def case_layers_of_the_family():
    """Those whose recurrences were not served before; the norms of outputs are Triton kernels, and taken out."""
    norm = lambda o, gate: o * torch.sigmoid(gate)
    layers = fla.layers.KimiDeltaAttention, fla.layers.GatedDeltaProduct, fla.layers.Comba, fla.layers.GatedDeltaNet2
    for make in layers:
        layer = make(hidden_size=32, head_dim=8, num_heads=2, expand_v=1, use_short_conv=False)
        del layer.o_norm
        layer.o_norm = norm
        x = torch.randn(1, 70, 32)
        layer(x)[0].sum().backward()
        assert layer.A_log.grad.abs().sum() > 0 and layer.b_proj.weight.grad.abs().sum() > 0
        with torch.no_grad():
            layer.eval()
            few = layer(x[:, :20])[0]
            assert (few - layer.train()(x)[0][:, :20]).norm() < 1e-5 * few.norm()
    served = integration.status().served
    names = ["chunk_kda", "chunk_gated_delta_product", "chunk_comba", "chunk_gdn2"]
    assert {name: served[name] for name in names} == dict.fromkeys(names, 2)
    names = ["fused_recurrent_kda", "fused_recurrent_gated_delta_rule", "fused_recurrent_comba", "fused_recurrent_gdn2"]
    assert {name: served[name] for name in names} == dict.fromkeys(names, 1)
    assert integration.status().fell_back == {}


def case_under_the_compiler():
    """FLA has its functions left out of graphs, and Wyvern's are not left out of the call."""
    x = operands()
    x.pop("g")
    compiled = torch.compile(lambda: fla.ops.delta_rule.chunk_delta_rule(**x)[0], backend="eager")
    close(compiled(), fla.ops.delta_rule.chunk_delta_rule(**x)[0])
    torch.compile(fla.ops.delta_rule.chunk_delta_rule, backend="eager")(**x)
    assert integration.status().served == {"chunk_delta_rule": 3}


def case_strides_and_few_tokens():
    x = operands(heads=2)
    o, state = chunk_gated_delta_rule(**x, output_final_state=True)
    turned = {name: y.transpose(1, 2).contiguous().transpose(1, 2) for name, y in x.items()}
    assert torch.equal(chunk_gated_delta_rule(**turned)[0], o)
    for tokens in (0, 1):
        few = chunk_gated_delta_rule(**{name: y[:, :tokens] for name, y in x.items()}, output_final_state=True)
        rest = {name: y[:, tokens:] for name, y in x.items()}
        after, final = chunk_gated_delta_rule(**rest, initial_state=few[1], output_final_state=True)
        close(torch.cat([few[0], after], 1), o)
        close(final, state)
    none = chunk_gated_delta_rule(**{name: y[:0] for name, y in x.items()}, output_final_state=True)
    assert none[0].shape == (0, 70, 4, 8) and none[1].shape == (0, 4, 8, 8)


def case_where_fla_asks_no_backends():
    """FLA_DISABLE_BACKEND_DISPATCH=1: that function is then rebound as the others are."""
    integration.disable()
    fla.backends._DISPATCH_DISABLED = True
    try:
        integration.enable()
    finally:
        fla.backends._DISPATCH_DISABLED = False
    assert "wyvern" in chunk_gated_delta_rule.__code__.co_filename
    chunk_gated_delta_rule(**operands())
    assert integration.status().served == {"chunk_gated_delta_rule": 1}
    integration.disable()
    assert "wyvern" not in chunk_gated_delta_rule.__code__.co_filename


def case_a_layer_of_fla():
    """Its norm of the output is a Triton kernel, so that one is taken out."""
    layer = fla.layers.GatedDeltaNet(hidden_size=32, head_dim=8, num_heads=2, use_short_conv=False)
    del layer.o_norm
    layer.o_norm = lambda o, gate: o * torch.nn.functional.silu(gate)
    layer(torch.randn(1, 70, 32))[0].sum().backward()
    assert layer.A_log.grad.abs().sum() > 0 and layer.b_proj.weight.grad.abs().sum() > 0
    assert integration.status().served == {"chunk_gated_delta_rule": 1}


# === Left to FLA ===


def case_one_token():
    """A row a sequence is a step of Wyvern's; packed ones are FLA's."""
    x = operands(tokens=3)
    fused = fla.ops.gated_delta_rule.fused_recurrent_gated_delta_rule
    first = {name: y[:, :1] for name, y in x.items()}
    h0 = torch.randn(1, 4, 8, 8)
    o, state = fused(**first, initial_state=h0, output_final_state=True)
    expected = naive_recurrent_gated_delta_rule(**first, initial_state=h0, output_final_state=True)
    close(o, expected[0])
    close(state, expected[1])
    assert integration.status().served == {"fused_recurrent_gated_delta_rule": 1}
    fails_in_triton(fused, **x, cu_seqlens=torch.tensor([0, 1, 2, 3]))
    name, reasons = only(integration.status().fell_back)
    assert name == "fused_recurrent_gated_delta_rule" and only(reasons)[1] == 1
    assert "packed sequences of a token each" in only(reasons)[0]


def kda_operands(tokens, batch=3):
    torch.manual_seed(0)
    q, k = torch.randn(2, batch, tokens, 2, 8)
    v, g, beta = torch.randn(batch, tokens, 4, 8), torch.randn(batch, tokens, 4, 8), torch.randn(batch, tokens, 4)
    return {"q": q, "k": k, "v": v, "g": g, "beta": beta}


def kda_expected(x, A_log, dt_bias, state):
    """What FLA's kernel computes of raw operands, by its naive function."""
    q, k = (torch.nn.functional.normalize(x[name], dim=-1) for name in ("q", "k"))
    g = -A_log.exp()[:, None] * torch.nn.functional.softplus(x["g"] + dt_bias.view(4, 8))
    return naive_recurrent_kda(q, k, x["v"], g, x["beta"].sigmoid(), initial_state=state, output_final_state=True)


RAW_KDA = {"use_qk_l2norm_in_kernel": True, "use_gate_in_kernel": True, "use_beta_sigmoid_in_kernel": True}


def case_steps_of_kda():
    x, A_log, dt_bias, h0 = kda_operands(3), torch.randn(4), torch.randn(32), torch.randn(3, 4, 8, 8)
    kept = h0.clone()
    expected = kda_expected(x, A_log, dt_bias, h0)
    arguments = {"A_log": A_log, "dt_bias": dt_bias, "initial_state": h0, "output_final_state": True, **RAW_KDA}
    for function, more in ((fla.ops.kda.fused_recurrent_kda, {}), (fused_recurrent_kda_fwd, {"inplace_final_state": False})):
        o, state = function(**x, **arguments, **more)
        close(o, expected[0])
        close(state, expected[1])
        assert torch.equal(h0, kept)
    assert integration.status().served == {"fused_recurrent_kda": 1, "fused_recurrent_kda_fwd": 1}
    assert integration.status().fell_back == {}
    fails_in_triton(fused_recurrent_kda_fwd, **kda_operands(40), inplace_final_state=False)
    fails_in_triton(fused_recurrent_kda_fwd, **x, A_log=A_log, lower_bound=-5.0, inplace_final_state=False, **RAW_KDA)
    reasons = "".join(only(integration.status().fell_back)[1])
    assert "more than 16 tokens" in reasons and "lower bound" in reasons


def case_drafts_of_kda_on_a_pool():
    """A state for every token, from the one of the last that was accepted; V before K in memory."""
    x, A_log, dt_bias = kda_operands(2), torch.randn(4), torch.randn(32)
    pool = torch.randn(9, 4, 8, 8)
    slots, accepted = torch.tensor([[3, 4], [7, 5], [1, 2]], dtype=torch.int32), torch.tensor([2, 1, 2], dtype=torch.int32)
    wanted = pool.clone()
    expected = []
    for n, first in enumerate((4, 7, 2)):
        state = wanted[first].transpose(-1, -2)[None]
        for t in range(2):
            o, state = kda_expected({name: y[n : n + 1, t : t + 1] for name, y in x.items()}, A_log, dt_bias, state)
            expected.append(o)
            wanted[slots[n, t]] = state[0].transpose(-1, -2)
    packed = {name: y.flatten(0, 1)[None] for name, y in x.items()}
    o, same = fused_recurrent_kda_fwd(
        **packed, A_log=A_log, dt_bias=dt_bias, initial_state=pool, cu_seqlens=torch.tensor([0, 2, 4, 6]), state_v_first=True,
        ssm_state_indices=slots, num_accepted_tokens=accepted, **RAW_KDA,
    )
    assert same is pool and integration.status().served == {"fused_recurrent_kda_fwd": 1}
    close(o, torch.cat(expected, 1))
    close(pool, wanted)


def case_arguments_of_fla_alone():
    x = operands()
    fails_in_triton(chunk_gated_delta_rule, **x, later_argument=1)
    fails_in_triton(fla.ops.gated_delta_rule.fused_recurrent_gated_delta_rule, **x, gk=torch.zeros(1, 70, 4, 8))
    x.pop("g")
    rate = x | {"beta": x["v"]}
    fails_in_triton(fla.ops.delta_rule.fused_recurrent_delta_rule, **rate)
    reasons = [only(x)[0] for x in integration.status().fell_back.values()]
    assert ["later_argument" in reasons[0], "gk" in reasons[1], "a value channel" in reasons[2]] == [True] * 3, reasons


def case_declined_after_it_was_accepted():
    """Wyvern finds out in the call: FLA's dispatch goes on without it."""
    x = operands()
    context = type("Context", (), {"cu_seqlens": torch.tensor([0, 70]), "cu_seqlens_cpu": None})()
    try:
        chunk_gated_delta_rule(**x, cp_context=context)
    except Exception as error:
        assert "wyvern" not in str(error) and "not supported" not in str(error), error
    name, reasons = only(integration.status().fell_back)
    assert only(reasons) == ("cp_context is a Context, expected a wyvern.torch.ContextParallel", 1)
    chunk_gated_delta_rule(**x)
    assert integration.status().served == {"chunk_gated_delta_rule": 1}


def case_context_parallel():
    """FLA's contexts, of a group of one; ranks_cases.py has two."""
    import torch.distributed as dist
    from fla.ops.cp.context import get_cp_cu_seqlens
    from wyvern.torch import chunk_gated_delta_rule as rule

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    x, offsets = operands(), torch.tensor([0, 30, 70])
    expected, _ = rule(**x, cu_seqlens=offsets)
    for layout in ("contiguous", "zigzag"):
        context = get_cp_cu_seqlens(offsets, group=dist.group.WORLD, layout=layout)
        o, _ = chunk_gated_delta_rule(**x, cu_seqlens=context.cu_seqlens, cp_context=context)
        assert (o - expected).norm() < 1e-6 * expected.norm()
    assert integration.status().served == {"chunk_gated_delta_rule": 2}
    dist.destroy_process_group()


def case_arguments_that_wyvern_refuses():
    """What is wrong with them, if anything is, FLA says; scale and A_log are no error there."""
    x = operands()
    for change, reason in [
        ({"scale": torch.tensor(0.3)}, "scale is a tensor"),
        ({"A_log": torch.zeros(4)}, "A_log needs use_gate_in_kernel"),
        ({"initial_state": torch.zeros(1, 4, 8, 7)}, "initial_state has shape"),
    ]:
        fails_in_triton(chunk_gated_delta_rule, **x, **change)
        assert reason in list(integration.status().fell_back["chunk_gated_delta_rule"])[-1]
    fails_in_triton(fla.ops.gated_delta_rule.fused_recurrent_gated_delta_rule, **x, cu_seqlens=[0, 30, 70])
    try:
        fla.ops.delta_rule.chunk_delta_rule(x["q"])
    except TypeError as error:
        assert str(error).startswith("chunk_delta_rule() missing"), error
    assert integration.status().served == {}


def case_functions_without_a_place():
    x = operands()
    x["gv"] = torch.zeros_like(x["v"])
    x.pop("g")
    fails_in_triton(fla.ops.gated_oja_rule.chunk_gated_oja_rule, **x)
    name, reasons = only(integration.status().fell_back)
    assert name == "chunk_gated_oja_rule" and "no function" in only(reasons)[0]


# === Undone ===


def case_disable():
    modules = fla.ops, fla.ops.delta_rule, fla.ops.gated_delta_rule, fla.ops.kda, sys.modules[__name__]
    redirected = fla.ops.delta_rule.chunk_delta_rule
    integration.enable()
    assert fla.ops.delta_rule.chunk_delta_rule is redirected
    integration.disable()
    for module, names in zip(modules, BEFORE):
        assert {name: vars(module)[name] for name in names} == names, module
    assert [x.backend_type for x in _operation_registries["gated_delta_rule"]._backends.values()] == BACKENDS
    x = {name: y.bfloat16() for name, y in operands().items()}
    fails_in_triton(chunk_gated_delta_rule, **x)
    x.pop("g")
    fails_in_triton(redirected, **x)
    assert integration.status().served == integration.status().fell_back == {}


def case_loaded_again():
    """enable() once more serves what is new."""
    importlib.reload(sys.modules["fla.ops.delta_rule.chunk"])
    importlib.reload(fla.ops.delta_rule)
    new = fla.ops.delta_rule.chunk_delta_rule
    x = operands()
    x.pop("g")
    integration.enable()
    fla.ops.delta_rule.chunk_delta_rule(**x)
    chunk_gated_delta_rule(**operands())
    assert integration.status().served == {"chunk_delta_rule": 1, "chunk_gated_delta_rule": 1}
    integration.disable()
    assert fla.ops.delta_rule.chunk_delta_rule is new


def case_another_version():
    """Without a function that is to be served nothing is changed; one that is only counted
    is not missed."""
    integration.disable()
    fused, counted = fla.ops.delta_rule.fused_recurrent_delta_rule, fla.ops.log_linear_attn.chunk_log_linear_attn
    try:
        del fla.ops.delta_rule.fused_recurrent_delta_rule, fla.ops.log_linear_attn.chunk_log_linear_attn
        integration.enable()
    except ImportError as error:
        assert "no fla.ops.delta_rule.fused_recurrent_delta_rule" in str(error)
    else:
        raise AssertionError("no error")
    finally:
        fla.ops.delta_rule.fused_recurrent_delta_rule = fused
    assert not integration.status().enabled
    assert [x.backend_type for x in _operation_registries["gated_delta_rule"]._backends.values()] == BACKENDS
    try:
        integration.enable()
        assert integration.status().enabled
    finally:
        fla.ops.log_linear_attn.chunk_log_linear_attn = counted


def case_threads():
    def switch():
        for _ in range(5):
            integration.enable()
            integration.disable()

    threads = [threading.Thread(target=switch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for function in (fla.ops.kda.chunk_kda, fla.ops.delta_rule.chunk_delta_rule):
        assert "wyvern" not in function.__code__.co_filename
    assert [x.backend_type for x in _operation_registries["gated_delta_rule"]._backends.values()] == BACKENDS


def case_beside_the_integration_of_transformers():
    """Each undoes what it did, in any order."""
    from transformers.models.qwen3_5 import modeling_qwen3_5 as module

    from wyvern.integrations import transformers as other

    # As transformers has it where FLA is installed: a call of FLA's function.
    before = module.torch_chunk_gated_delta_rule
    other.enable()
    integration.disable()
    x = operands()
    arguments = [x[name] for name in ("q", "k", "v", "g", "beta")]
    module.torch_chunk_gated_delta_rule(*arguments)
    other.disable()
    assert module.torch_chunk_gated_delta_rule is before
    integration.enable()
    before(*arguments)
    assert other.status().served == integration.status().served == {"chunk_gated_delta_rule": 1}


def functions_of(module):
    return {name: x for name, x in vars(module).items() if name.startswith(("chunk_", "fused_"))}


BEFORE = [
    functions_of(module)
    for module in (fla.ops, fla.ops.delta_rule, fla.ops.gated_delta_rule, fla.ops.kda, sys.modules[__name__])
]
BACKENDS = [x.backend_type for x in _operation_registries["gated_delta_rule"]._backends.values()]


def run(case):
    """What went wrong, or nothing."""
    integration.enable()
    try:
        case()
    except BaseException:
        return traceback.format_exc()
    finally:
        integration.disable()
    return ""


if __name__ == "__main__":
    import fla.layers

    cases = {name: case for name, case in list(globals().items()) if name.startswith("case_")}
    print(json.dumps({name: run(case) for name, case in cases.items()}))
