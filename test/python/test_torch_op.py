# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.op on CPU tensors: any spec as a differentiable function.

Judged by the token recurrence of gradient_oracle.py, in float64 and through autograd.
test/Integration/test_gpu_torch_op.py has the same on a GPU.
"""

import copy
import inspect
import pickle

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import op_cases
import torch.autograd.forward_ad as forward_ad
import wyvern
from op_cases import DELTA, LAYERS, close, expected, oracle, spec
from wyvern._core import serving
from wyvern._core.specs import read_layer, read_source
from wyvern.torch import Decoder, chunk_gated_delta_rule, op

def make(name, dtype=torch.float64, batch=2, tokens=71, sequences=None):
    """Random operands and a state, by name; every one a leaf."""
    tensors = op_cases.make(name, op(spec(name)).shapes, batch, tokens, sequences)
    return {operand: x.to(dtype).requires_grad_() for operand, x in tensors.items()}


def gradients(outputs, leaves):
    """Of a weighted sum of the outputs."""
    seeds = op_cases.weights(outputs)
    value = sum((x.double() * seed).sum() for x, seed in zip(outputs, seeds))
    return torch.autograd.grad(value, list(leaves))


# === Values and gradients ===


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients(name):
    data = make(name)
    found, wanted = op(spec(name))(**data, output_final_state=True), expected(name, data)
    close(found, wanted)
    close(gradients(found, data.values()), gradients(wanted, data.values()))
    # Without gradients the bits are the same, and without states there are none.
    with torch.no_grad():
        again = op(spec(name))(**data)
    assert again[1] is None and torch.equal(again[0], found[0])


@pytest.mark.parametrize("name", LAYERS)
def test_packed(name):
    data, cu = make(name, batch=1, sequences=3), torch.tensor([0, 20, 20, 66])
    found = op(spec(name))(**data, cu_seqlens=cu, output_final_state=True)
    wanted = expected(name, data, cu)
    close(found, wanted)
    close(gradients(found, data.values()), gradients(wanted, data.values()))


@pytest.mark.parametrize("dtype, bar", [(torch.float32, 2e-5), (torch.float16, 2e-3), (torch.bfloat16, 1e-2)])
def test_types(dtype, bar):
    """o is in q's type, states are in float32, gradients in the types of their tensors."""
    data = make("products", dtype)
    data["g"] = data["g"].detach().float().requires_grad_()
    o, state = op(spec("products"))(**data, output_final_state=True)
    assert o.dtype == dtype and state.dtype == torch.float32
    wanted = expected("products", data)
    close((o, state), wanted, bar)
    found = gradients((o, state), data.values())
    assert [x.dtype for x in found] == [x.dtype for x in data.values()]
    close(found, gradients(wanted, data.values()), bar)


def test_gradcheck():
    data = make("repeated", batch=1, tokens=3)
    function = op(spec("repeated"))
    call = lambda *x: function(*x[:-1], initial_state=x[-1], output_final_state=True)
    assert torch.autograd.gradcheck(call, list(data.values()))


def test_a_gate_of_minus_infinity_resets():
    data = {x: tensor.detach() for x, tensor in make("products").items()}
    data["g"][:, 40] = -torch.inf
    leaves = {x: tensor.requires_grad_() for x, tensor in data.items()}
    function = op(spec("products"))
    o, _ = function(**leaves)
    cut = {x: tensor[:, 40:] for x, tensor in data.items() if x != "initial_state"}
    close([o[:, 40:]], [function(**cut)[0]])
    gradients = dict(zip(leaves, torch.autograd.grad(o.square().sum(), list(leaves.values()))))
    assert all(torch.isfinite(x).all() for x in gradients.values())
    assert not gradients["g"][:, 40].any() and gradients["g"][:, 41].any()


def test_decays_a_channel_go_to_the_program_as_they_are(monkeypatch):
    """It bounds them itself: in front of it that would be a pass over tensors as long as q in f32."""

    def refuse(g):
        raise AssertionError("bounded by PyTorch")

    for module in ("_arguments", "_direct"):
        monkeypatch.setattr(f"wyvern.torch.{module}.bounded", refuse)
    op(spec("products"))(**make("products"))
    with pytest.raises(AssertionError):
        op(spec("gated"))(**make("gated"))


def test_is_the_function_of_this_layer():
    data = make("gated", torch.float32)
    function = op(spec("gated"))
    built_in = chunk_gated_delta_rule(**data, output_final_state=True)
    found = function(**data, output_final_state=True)
    assert all(torch.equal(x, y) for x, y in zip(found, built_in))
    pairs = zip(gradients(found, data.values()), gradients(built_in, data.values()))
    assert all(torch.equal(x, y) for x, y in pairs)


# === torch.compile, autocast, torch.library, torch.func ===


@pytest.mark.parametrize("name", ["repeated", "sum"])
def test_compiles_with_dynamic_shapes(name):
    function = op(spec(name))

    @torch.compile(fullgraph=True, dynamic=True, backend="aot_eager")
    def layer(**data):
        o, state = function(**data, output_final_state=True)
        return o * 2, state.sum(-1)

    for batch, tokens in ((2, 20), (3, 33)):
        data = make(name, torch.float32, batch, tokens)
        o, state = function(**data, output_final_state=True)
        wanted = gradients((o * 2, state.sum(-1)), data.values())
        close(gradients(layer(**data), data.values()), wanted, 1e-6)


def test_autocast():
    """Keys, values and q go to autocast's type; rates and gates stay as they are."""
    data = make("gated", torch.float32)
    function = op(spec("gated"))
    with torch.autocast("cpu", torch.bfloat16):
        found = function(**data, output_final_state=True)
    low = data | {x: data[x].bfloat16() for x in ("q", "k", "v")}
    plain = function(**low, output_final_state=True)
    assert found[0].dtype == torch.bfloat16 and found[1].dtype == torch.float32
    assert all(torch.equal(x, y) for x, y in zip(found, plain))
    given = gradients(found, data.values())
    assert all(x.dtype == torch.float32 for x in given)
    close(given, gradients(plain, data.values()), 1e-6)


@pytest.mark.parametrize("name", ["products", "sum"])
@pytest.mark.parametrize("final", [False, True])
def test_opcheck(name, final):
    data = make(name, torch.float32, batch=1, sequences=2)
    *operands, state = data.values()
    fixed, h0 = [x.detach() for x in operands], state.detach()
    ops = op(spec(name)).ops
    cu = torch.tensor([0, 40, 71])
    for given in (state, None):
        torch.library.opcheck(ops.forward, (*operands, given, cu, final))
    torch.library.opcheck(ops.inference, (*fixed, h0, cu, final))
    o, last, *saved = ops.forward(*fixed, h0, cu, True)
    seeds = torch.ones_like(o), torch.ones_like(last) if final else None
    torch.library.opcheck(ops.backward, (*fixed, h0, cu, *saved, *seeds))


@pytest.mark.parametrize("name", ["repeated", "sum"])
def test_func_grad_and_vmap(name):
    function, torch_function = op(spec(name)), oracle(name)
    data = [x.detach() for x in make(name, tokens=9).values()]
    names = [*function.operands, "initial_state"]
    every = tuple(range(len(data)))

    def loss(call):
        def value(*tensors):
            out = call(**dict(zip(names, tensors)))
            o, state = (out["o"], out["final_state"]) if isinstance(out, dict) else out
            return o.square().sum() + state.square().sum()

        return value

    ours = loss(lambda **x: function(**x, output_final_state=True))
    plain = loss(lambda **x: torch_function(**x))
    close(torch.func.grad(ours, every)(*data), torch.func.grad(plain, every)(*data))
    # Gradients of each sample.
    more = [torch.stack([x, x.flip(1), x.roll(1, 0)]) for x in data]
    more[names.index("q")] = data[0]
    dims = tuple(None if x == "q" else 0 for x in names)
    mapped = lambda f: torch.func.vmap(torch.func.grad(f, every), in_dims=dims)(*more)
    close(mapped(ours), mapped(plain))


def test_vmap_of_packed_sequences():
    data = [torch.stack([x.detach(), x.detach().flip(1)]) for x in make("sum", batch=1, tokens=9, sequences=2).values()]
    cu, function = torch.tensor([0, 4, 9]), op(spec("sum"))
    call = lambda *x: function(*x[:-1], initial_state=x[-1], cu_seqlens=cu)[0]
    found = torch.func.vmap(call)(*data)
    close(list(found), [call(*(x[i] for x in data)) for i in range(2)])


@pytest.mark.parametrize("mapped", [("A",), ("a", "v"), ("A", "w", "q", "k")])
def test_vmap_of_parameters(mapped):
    """Each sample has gradients of its own of what all share, whether that is mapped or not."""
    function = op(op_cases.PARAMETERS)
    data = op_cases.make("parameters", function.shapes, batch=2, tokens=9)
    del data["initial_state"]
    more = {x: torch.stack([y, y.flip(0), 2 * y]) if x in mapped else y for x, y in data.items()}
    axes = {x: 0 if x in mapped else None for x in data}
    loss = lambda x: function(**x)[0].square().sum()
    found = torch.func.vmap(torch.func.grad(loss), (axes,))(more)
    for i in range(3):
        wanted = torch.func.grad(loss)({x: y[i] if x in mapped else y for x, y in more.items()})
        for x, y in wanted.items():
            torch.testing.assert_close(found[x][i], y, rtol=1e-10, atol=1e-12)
    # A sum over samples, in front of which all gradients are.
    total = torch.func.grad(lambda x: torch.func.vmap(loss, (axes,))(x).sum())(more)
    for x, y in found.items():
        torch.testing.assert_close(total[x], y if x in mapped else y.sum(0), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_numbers_of_other_kinds(dtype):
    function, data = op(spec("gated")), make("gated")
    for name in ("beta", "initial_state"):
        with pytest.raises(TypeError, match=f"gated: {name} is {dtype}, expected a floating-point type"):
            function(**data | {name: data[name].to(dtype)})


def test_forward_mode_is_refused():
    q, *rest = (x.detach() for x in make("products", tokens=5).values())
    function = op(spec("products"))
    call = lambda q: function(q, *rest[:-1])[0]
    words = "products: forward-mode derivatives .* are not supported"
    for run in (lambda: torch.func.jvp(call, (q,), (q,)), lambda: torch.func.jacfwd(call)(q)):
        with pytest.raises(NotImplementedError, match=words):
            run()
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match=words):
        call(forward_ad.make_dual(q, q))


def test_second_derivatives_are_refused():
    data = make("sum", tokens=5)
    o, _ = op(spec("sum"))(**data)
    (dq,) = torch.autograd.grad(o.square().sum(), data["q"], create_graph=True)
    with pytest.raises(NotImplementedError, match="the second derivative is not supported"):
        dq.sum().backward()


def test_meta_device():
    data = {x: tensor.detach().to("meta", torch.bfloat16).requires_grad_() for x, tensor in make("repeated").items()}
    o, state = op(spec("repeated"))(**data, output_final_state=True)
    assert o.is_meta and o.shape == (2, 71, 4, 6) and state.shape == (2, 4, 8, 6)
    o.sum().backward()
    assert data["k"].grad.shape == (2, 142, 2, 8)


# === What an op is ===


def test_two_layers_of_one_name():
    """Each computes its own recurrence, and the same spec is the same op."""
    one, other = op(spec("gated")), op(spec("gated", scale=1.0))
    data = make("gated")
    close([other(**data)[0]], [one(**data)[0] * 8**0.5])
    again = op(wyvern._core.specs.read_layer(read_source(spec("gated")), None).text)
    assert again.ops == one.ops != other.ops
    assert op(spec("gated") | {"name": "delta_rule"}).ops.inference is not torch.ops.wyvern.delta_rule.default


def test_describes_itself():
    function = op(spec("repeated"))
    assert function.operands == ("q", "k", "v", "beta")
    assert function.shapes["k"] == "[B, T * 2, 2, 8]" and function.shapes["beta"] == "[B, T * 2, 4]"
    assert str(inspect.signature(function)).startswith("(q, k, v, beta, *, initial_state=None, cu_seqlens=None")
    assert repr(function).startswith("<wyvern op repeated(q, k, v, beta")
    assert function.spec["steps"][0]["erase"] == "k"  # every default written out


def test_copies_and_pickles():
    data = make("sum", tokens=5)
    function = op(spec("sum"))
    for other in (copy.deepcopy(function), pickle.loads(pickle.dumps(function))):
        assert torch.equal(other(**data)[0], function(**data)[0])


def test_files_and_models(tmp_path):
    file = tmp_path / "layer.yaml"
    file.write_text(read_layer(read_source(spec("sum")), None).text)
    assert op(file).ops == op(str(file)).ops == op(spec("sum")).ops
    config = {"model_type": "delta_net", "hidden_size": 32, "num_heads": 2, "expand_k": 1, "expand_v": 1, "num_hidden_layers": 2}
    assert op(config).operands == ("q", "k", "v", "beta")


# === Refusals ===


def refused(kind, words, function, *args, **kwargs):
    with pytest.raises(kind, match=words):
        function(*args, **kwargs)


def test_wrong_operands():
    data = {x: tensor.detach() for x, tensor in make("repeated").items() if x != "initial_state"}
    q, k, v, beta = data.values()
    function = op(spec("repeated"))
    refused(TypeError, "repeated: beta is missing; its operands are q, k, v, beta", function, q, k, v)
    refused(TypeError, "repeated: g is none of its operands", function, **data, g=beta)
    refused(TypeError, "repeated: q is given twice", function, q, k, v, q=q, beta=beta)
    refused(TypeError, r"expected 4 operands .*, found 5; initial_state, .* are given by name", function, *data.values(), None)
    refused(TypeError, "repeated: v is None, expected a tensor", function, q, k, None, beta)
    refused(ValueError, r"k has shape \[2, 71, 2, 8\], expected \[2, 142, 2, 8\]", function, q, k[:, :71], v, beta)
    refused(ValueError, r"k has shape \[2, 141, 2, 8\], expected \[2, 142, 2, 8\]", function, q, k[:, 1:], v, beta)
    refused(ValueError, r"q has shape \[2, 71, 2, 7\], expected \[batch, tokens, 2, 8\]", function, q[..., 1:], k, v, beta)
    refused(ValueError, r"q has shape \[71, 2, 8\]", function, q[0], k, v, beta)
    refused(TypeError, "q is torch.float64, v is torch.float32; expected one dtype", function, q, k, v.float(), beta)
    refused(TypeError, "q, k, v are torch.int64 on cpu", function, *(x.long() for x in (q, k, v)), beta)


@pytest.mark.parametrize("name", ["name", "self", "level_scales", "positions", "tensors"])
def test_any_name_that_is_left(name):
    """Names are the user's: those of Wyvern's own functions, and of what this layer does not have."""
    layer = {"name": "layer", "dtype": "f32", "heads": {"key": 1, "value": 1}, "dims": {"key": 16, "value": 16}}
    layer["steps"] = [{"write": name, "value": "v", "rate": "beta"}]
    x = {n: torch.randn(1, 3, 1, 16) / 4 for n in ("q", name, "v")} | {"beta": torch.rand(1, 3, 1)}
    renamed = layer | {"steps": [{"write": "k", "value": "v", "rate": "beta"}]}
    o = op(layer)(**x)[0]
    assert torch.equal(o, op(renamed)(**{"k" if n == name else n: y for n, y in x.items()})[0])
    decoder, pool = Decoder(layer), torch.zeros(2, 1, 16, 16)
    slots = torch.zeros(1, dtype=torch.int32)
    torch.testing.assert_close(decoder.step(**x, state=pool.clone(), read_slots=slots), o)
    torch.testing.assert_close(decoder.prefill(**x, state=pool, read_slots=slots), o)


def test_wrong_states():
    data = make("repeated")
    function = op(spec("repeated"))
    state = data.pop("initial_state")
    refused(ValueError, r"initial_state has shape \[1, 4, 8, 6\], expected \[2, 4, 8, 6\]", function, **data, initial_state=state[:1])
    refused(TypeError, "initial_state is a int, expected a tensor", function, **data, initial_state=0)
    refused(TypeError, "cu_seqlens is a list", function, **data, cu_seqlens=[0, 71])
    refused(ValueError, "the batch size is 2, expected 1 with cu_seqlens", function, **data, cu_seqlens=torch.tensor([0, 71]))


def test_what_is_no_layer(tmp_path):
    refused(wyvern.CompileError, "MLIR has no spec", op, "func.func @f() {\n}")
    refused(wyvern.CompileError, "unknown key", op, spec("gated", extra=1))
    refused(TypeError, "a CPU program does not hold its spec", op, wyvern.compile(spec("sum"), target="cpu"))
    refused(TypeError, "expected a path", op, 3)
    step = DELTA | {"rate": "output_final_state"}
    refused(ValueError, "has an operand 'output_final_state', which", op, spec("gated", steps=[step]))
    refused(ValueError, "has an operand 'lambda', which", op, spec("gated", steps=[DELTA | {"rate": "lambda"}]))


# === Bundles ===


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, wyvernc):
    """One for training, and one without a backward."""
    folder = tmp_path_factory.mktemp("bundles")
    layer = spec("gated", dims={"key": 64, "value": 64})
    options = ({"training": True, "save": "factor"}, {})
    return [wyvern.compile(layer, output=folder / str(len(more)), **more) for more in options]


def test_a_bundle_is_an_op(bundles):
    """Its signature is the one of its spec; its spec serves CPU tensors."""
    layer = op(bundles[0].manifest["spec"])
    for bundle in bundles:
        function = op(bundle)
        assert function.ops != layer.ops and op(bundle).ops == function.ops
        assert function.shapes == layer.shapes and function.spec == layer.spec
        assert function._family.signature.operands == layer._family.signature.operands
    assert op(bundles[0])._family.signature == layer._family.signature
    torch.manual_seed(0)
    data = {x: torch.randn(eval(shape, {"B": 1, "T": 9})) for x, shape in layer.shapes.items()}
    data["g"] = -data["g"].abs()
    assert torch.equal(op(bundles[0])(**data)[0], layer(**data)[0])


def test_what_a_bundle_serves(bundles):
    """On a GPU: its own type, and training if it has a backward."""
    with_backward, without = bundles
    for training in (False, True):
        assert serving.of_bundle(with_backward, "bf16", training) is with_backward
    assert serving.of_bundle(without, "bf16", False) is without
    refused(AttributeError, "gated was compiled without its backward", serving.of_bundle, without, "bf16", True)
    refused(TypeError, "gated: the bundle takes q in bf16, found f16", serving.of_bundle, without, "f16", False)


def test_bundles_that_are_no_op(bundles, tmp_path, wyvernc):
    layer = bundles[0].manifest["spec"]
    ir = wyvern.compile(read_layer(read_source(layer), None).module, output=tmp_path / "ir")
    refused(ValueError, "was compiled from IR and has no spec", op, ir)
