# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The functions of the rest of the family by FLA's names, on compiled CPU programs in float64,
against the recurrence: values, states and the gradients of everything."""

import ast
import inspect

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import delta_oracle
import wyvern.torch
from family_cases import CASES, H, HV, K, V, decays, draw, expected, mean_precond, norm, precond, rates
from wyvern._core.op import sign
from wyvern._core.rules import RULES, Sizes
from wyvern.torch import _family
from wyvern.torch._family.scan import decayed_sums
from wyvern.torch._rules import family_of

OFFSETS = [0, 1, 1, 67, 70]
TOKENS = 72  # of which two belong to no sequence


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(4)


def close(x, y, tolerance=1e-9):
    assert x.shape == y.shape
    assert delta_oracle.error(x, y) < tolerance


def leaves(operands):
    return {name: x.requires_grad_() for name, x in operands.items() if x is not None}


def gradients(results, weights, tensors):
    total = sum((x * w).sum() for x, w in zip(results, weights))
    return torch.autograd.grad(total, list(tensors))


def compare(found, wanted, tensors):
    """Compares results, and the gradients of the tensors by random weights."""
    for x, y in zip(found, wanted):
        close(x.detach(), y.detach())
    weights = [torch.randn_like(y) for y in wanted]
    for name, x, y in zip(tensors, *(gradients(z, weights, tensors.values()) for z in (found, wanted))):
        assert torch.isfinite(x).all(), name
        assert x.shape == y.shape and delta_oracle.error(x, y) < 1e-8, name


# === Every function ===


@pytest.mark.parametrize("name", CASES)
def test_packed_and_differentiated(name):
    case, cu = CASES[name], torch.tensor(OFFSETS)
    operands = case.draw(1, TOKENS)
    tensors = leaves(operands | {"initial_state": draw(len(OFFSETS) - 1, case.heads, K, V)})
    state = tensors["initial_state"]
    function = getattr(wyvern.torch, case.names[0])
    found = function(**operands, initial_state=state, output_final_state=True, cu_seqlens=cu, **case.options)
    assert not found[0][:, OFFSETS[-1] :].any()
    compare(found, expected(case, operands, cu, state), tensors)


RECURRENT = [(case, name) for case in CASES for name in CASES[case].names[1:]]


@pytest.mark.parametrize("case, name", RECURRENT, ids=[name for _, name in RECURRENT])
def test_few_tokens(case, name):
    """By the program that decodes, whose states go on; and with a scale of their own."""
    case, function = CASES[case], getattr(wyvern.torch, name)
    operands, state = case.draw(2, 5), draw(2, case.heads, K, V)
    found = function(**operands, scale=0.3, initial_state=state, output_final_state=True)
    for x, y in zip(found, expected(case, operands, None, state, 0.3)):
        close(x, y)


def test_other_names_of_arguments():
    x = CASES["gla"].draw(2, 5)
    o, _ = wyvern.torch.fused_recurrent_gla(x["q"], x["k"], x["v"], gk=x["g"])
    close(o, expected(CASES["gla"], x)[0])
    x = CASES["rwkv7"].draw(2, 5)
    a, kk = rates(2, 5, H, K), -x["a"]
    x["b"] = kk * a
    rest = [x[name] for name in ("r", "w", "k", "v")]
    o, state = wyvern.torch.fused_mul_recurrent_rwkv7(*rest, kk, a)
    close(o, expected(CASES["rwkv7"], x)[0])
    assert state is None and wyvern.torch.fused_recurrent_rwkv7(**x)[1] is not None
    x = CASES["simple_gla"].draw(2, 5)
    gamma = -rates(HV)
    o, _ = wyvern.torch.chunk_simple_gla(x["q"], x["k"], x["v"], g_gamma=gamma)
    close(o, expected(CASES["simple_gla"], x | {"g": gamma.expand(2, 5, HV)})[0])
    x = CASES["comba"].draw(2, 5)
    x |= {"p": None, "beta": None}
    o, _ = wyvern.torch.chunk_comba(**x)
    close(o, expected(CASES["comba"], x | {"p": x["k"], "beta": torch.ones(2, 5, HV)})[0])


# === What stands in front ===


@pytest.mark.parametrize("bound", [None, -5.0])
def test_raw_operands_of_kda(bound):
    x = CASES["kda"].draw(1, 66)
    x |= {"q": 3 * x["q"], "k": 0.2 * x["k"], "g": 3 * draw(1, 66, HV, K), "beta": 2 * draw(1, 66, HV)}
    x |= {"A_log": draw(HV), "dt_bias": draw(HV * K), "initial_state": draw(1, HV, V, K)}
    tensors = leaves(x)
    found = wyvern.torch.chunk_kda(
        **x, use_qk_l2norm_in_kernel=True, use_gate_in_kernel=True, use_beta_sigmoid_in_kernel=True, allow_neg_eigval=True,
        lower_bound=bound, safe_gate=bound is not None, state_v_first=True, output_final_state=True,
    )
    raw, strength = x["g"] + x["dt_bias"].view(HV, K), x["A_log"].exp()[:, None]
    g = -strength * torch.nn.functional.softplus(raw) if bound is None else bound * torch.sigmoid(strength * raw)
    o, state = delta_oracle.dense(
        norm(x["q"]), norm(x["k"]), x["v"], 2 * x["beta"].sigmoid(), g, x["initial_state"].transpose(-1, -2)
    )
    compare(found, (o, state.transpose(-1, -2)), tensors)


def test_a_bounded_gate_needs_no_a_log():
    x = CASES["kda"].draw(1, 5)
    raw = draw(1, 5, HV, K)
    options = {"use_gate_in_kernel": True, "lower_bound": -5.0}
    o, _ = wyvern.torch.fused_recurrent_kda(**(x | {"g": raw}), **options)
    close(o, delta_oracle.dense(**(x | {"g": -5 * raw.sigmoid()}))[0])


def test_norms():
    """Of q and of every key, and not of what scales keys."""
    for name in ("comba", "gdn2", "product"):
        case = CASES[name]
        x = case.draw(1, 5)
        normed = x | {y: norm(x[y]) for y in ("q", "k", "p") if y in x}
        function = getattr(wyvern.torch, case.names[0])
        close(function(**x, **case.options, use_qk_l2norm_in_kernel=True)[0], expected(case, normed)[0])


# === Preconditioned ===


@pytest.mark.parametrize(
    "name, channels, heads",
    [("chunk_precond_gated_delta_rule", False, HV), ("chunk_precond_kda", True, H)],
)
def test_preconditioned(name, channels, heads):
    cu, x = torch.tensor(OFFSETS), precond(channels, heads)(1, TOKENS)
    count = len(OFFSETS) - 1
    tensors = leaves(x | {"initial_state": draw(count, heads, K, V), "initial_A_state": rates(count, H, K)})
    found = getattr(wyvern.torch, name)(**tensors, output_final_state=True, cu_seqlens=cu)
    meant, A = mean_precond(**x, initial_A_state=tensors["initial_A_state"], offsets=OFFSETS)
    compare(found, (*delta_oracle.packed(cu, **meant, initial_state=tensors["initial_state"]), A), tensors)


@pytest.mark.parametrize("name", ["fused_recurrent_precond_gated_delta_rule", "fused_recurrent_precond_kda"])
def test_preconditioned_of_few_tokens(name):
    channels = name.endswith("kda")
    heads = H if channels else HV
    x = precond(channels, heads)(2, 5)
    found = getattr(wyvern.torch, name)(**x, output_final_state=True)
    meant, A = mean_precond(**x, initial_A_state=torch.zeros(2, H, K), offsets=None)
    for y, z in zip(found, (*delta_oracle.dense(**meant), A)):
        close(y, z)


@pytest.mark.parametrize("tokens", [0, 1, 64, 65, 200])
def test_decayed_sums(tokens):
    u, g, initial = draw(2, tokens, H, K), decays(2, tokens, H), draw(2, H, K)
    state, sums = initial, []
    for t in range(tokens):
        state = g[:, t, :, None].exp() * state + u[:, t]
        sums.append(state)
    found, last = decayed_sums(u, g, initial)
    close(last, state)
    close(found, torch.stack(sums, 1) if sums else u)


# === Ops ===


def test_rules_say_what_the_compiler_says():
    """Operands, roles, shapes and what is saved, of any sizes."""
    sizes = Sizes(2, 16, 4, 32)
    named = dict(zip(("key_heads", "key_dim", "value_heads", "value_dim"), sizes))

    def plain(argument):
        return argument._replace(shape=tuple((("one", named[n] * rows) if n in named else (n, rows)) for n, rows in argument.shape))

    product = RULES["gated_delta_rule"]._replace(repeat=3, max_rate=2)
    for rule in (*RULES.values(), product, RULES["gdn2"]._replace(max_rate=2)):
        found, wanted = rule.signature(), sign(rule.spec(sizes, "bf16"), None)
        assert sorted(map(plain, found.operands)) == sorted(wanted.operands), rule.name
        for x in ("initial_state", "o", "final_state"):
            assert plain(getattr(found, x)) == getattr(wanted, x), (rule.name, x)
        assert tuple(map(plain, found.residuals)) == wanted.residuals, rule.name


def test_opcheck():
    x = {name: y.float() for name, y in CASES["kda"].draw(1, 66).items()}
    family_of("kda")
    tensors = [x[name].requires_grad_() for name in ("q", "k", "v", "g", "beta")]
    for final in (False, True):
        torch.library.opcheck(torch.ops.wyvern.kda_forward.default, (*tensors, None, torch.tensor([0, 30, 66]), final))


def test_compiles_to_one_graph():
    """Ops that nobody has asked for before are registered while it traces."""
    kda, other = CASES["kda"].draw(1, 66), CASES["product"].draw(1, 66)
    names = ("q", "k", "v", "g", "beta")

    def layer(*tensors):
        first, second = tensors[:5], tensors[5:]
        o, state = wyvern.torch.chunk_kda(*first, use_qk_l2norm_in_kernel=True, output_final_state=True)
        return o, state, wyvern.torch.chunk_gated_delta_product(*second, num_householder=3)[0]

    inputs = [x[name].float().requires_grad_() for x in (kda, other) for name in names]
    found = torch.compile(layer, fullgraph=True, backend="aot_eager")(*inputs)
    wanted = layer(*inputs)
    weights = [torch.randn_like(y) for y in wanted]
    for x, y in zip([*found, *gradients(found, weights, inputs)], [*wanted, *gradients(wanted, weights, inputs)]):
        assert torch.equal(x, y)


# === Refused ===


def refused(kind, words, function, *args, **kwargs):
    with pytest.raises(kind, match=words):
        function(*args, **kwargs)


def test_refused():
    x = CASES["kda"].draw(1, 5)
    kda, rest = wyvern.torch.chunk_kda, {name: y for name, y in x.items() if name != "g"}
    raw = {"use_gate_in_kernel": True}
    refused(ValueError, r"g has shape \[1, 5, 4\], expected \[1, 5, 4, 8\]", kda, **rest, g=x["g"][..., 0])
    refused(TypeError, r"g is None, expected \[B, T, HV, K\]", kda, **rest, g=None)
    refused(ValueError, r"A_log has shape \[3\], expected \[4\]", kda, **x, **raw, A_log=draw(3))
    refused(ValueError, r"dt_bias has shape \[4\], expected \[32\]", kda, **x, **raw, A_log=draw(4), dt_bias=draw(4))
    refused(ValueError, "needs A_log", kda, **x, **raw)
    refused(ValueError, "A_log needs use_gate_in_kernel", kda, **x, A_log=draw(4))
    refused(ValueError, "lower_bound is 1, expected less than 0", kda, **x, **raw, lower_bound=1)
    refused(ValueError, "safe_gate with use_gate_in_kernel needs a lower_bound", kda, **x, **raw, A_log=draw(4), safe_gate=True)
    refused(NotImplementedError, "return_intermediate_states", kda, **x, return_intermediate_states=True)
    refused(TypeError, "unexpected arguments: typo", kda, **x, typo=1)
    kda(**x, safe_gate=True, disable_recompute=True, use_graph=True, max_num_seqs=3, chunk_size=32)
    y = CASES["gdn2"].draw(1, 5)
    refused(ValueError, r"w has shape \[1, 5, 2, 6\], expected \[1, 5, 4, 6\]", wyvern.torch.chunk_gdn2, **(y | {"v": draw(1, 5, 4, V)}))
    refused(ValueError, r"w has shape \[1, 5, 2, 8\]", wyvern.torch.chunk_gdn2, **(y | {"w": y["b"]}))
    y = CASES["product"].draw(1, 6)
    refused(ValueError, r"k has shape \[1, 18, 2, 8\], expected \[1, 12, 2, 8\]", wyvern.torch.chunk_gated_delta_product, **y,
            num_householder=2)
    refused(ValueError, "num_householder is 0", wyvern.torch.chunk_gated_delta_product, **y, num_householder=0)
    y = CASES["dplr"].draw(1, 5)
    refused(ValueError, "v has 4 heads, expected 2, as q and k", wyvern.torch.chunk_dplr_delta_rule, **(y | {"v": draw(1, 5, 4, V)}))
    refused(NotImplementedError, "reverse", wyvern.torch.fused_recurrent_dplr_delta_rule, **y, reverse=True)
    y = CASES["simple_gla"].draw(1, 5)
    refused(ValueError, "both given", wyvern.torch.chunk_simple_gla, **y, g_gamma=draw(4))
    refused(ValueError, r"g_gamma has shape \[3\]", wyvern.torch.chunk_simple_gla, **(y | {"g": None}), g_gamma=draw(3))
    gla = wyvern.torch.fused_recurrent_gla
    refused(NotImplementedError, "gv", gla, y["q"], y["k"], y["v"], gv=y["v"])
    y = precond(False, HV)(1, 5)
    refused(NotImplementedError, "cp_context", wyvern.torch.chunk_precond_gated_delta_rule, **y, cp_context=object())
    refused(ValueError, r"g_atk has shape", wyvern.torch.chunk_precond_gated_delta_rule, **(y | {"g_atk": y["g"]}))
    refused(ValueError, r"initial_A_state has shape", wyvern.torch.chunk_precond_gated_delta_rule, **y,
            initial_A_state=draw(2, H, K))


# === FLA's signatures ===


@pytest.fixture(scope="module")
def theirs(build_dir):
    """The parameters and defaults of FLA's functions by their names, read from its sources: it imports Triton."""
    folder = build_dir / "fla" / "fla" / "ops"
    if not folder.is_dir():
        pytest.skip(f"no FLA in {folder}: scripts/test installs it")
    found = {}
    for file in folder.rglob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                names = [x.arg for x in node.args.args]
                defaults = [ast.unparse(x) for x in node.args.defaults]
                required = len(names) - len(defaults)
                found[node.name] = dict(zip(names, ["required"] * required + defaults))
    return found


@pytest.mark.parametrize("name", _family.__all__)
def test_signature(name, theirs):
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
    parameters = inspect.signature(getattr(wyvern.torch, name)).parameters.values()
    default = lambda x: "required" if x is inspect.Parameter.empty else repr(x)
    found = {x.name: default(x.default) for x in parameters if x.kind in kinds}
    assert list(found.items()) == list(theirs[name].items())
