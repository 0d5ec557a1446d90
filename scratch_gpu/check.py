"""Values and times of bundles with a prologue on a GPU, beside plain bundles with torch operations in front."""
import json, os, sys, time
from pathlib import Path
import torch, wyvern
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from gradient_oracle import Recurrence
import prologue_make as cases
DEV = "cuda"

def poisoned(shape, *, dtype, device):
    return torch.empty(shape, dtype=dtype, device=device).fill_(255 if dtype == torch.uint8 else float("nan"))

def load(name, poison=True):
    p = wyvern.load(HERE / name)
    if poison:
        p._empty = poisoned
        if p.has_backward: p.backward._empty = poisoned
    return p

def run(p, raw, grads, cu):
    out = p(**raw, cu_seqlens=cu)
    given = raw | grads | {n: out[n] for n in p.residuals}
    res = p.backward(**{n: given[n] for n in p.backward.inputs if n in given}, cu_seqlens=cu)
    return {"o": out["o"], "final_state": out["final_state"], **{k: v for k, v in res.items() if k.startswith("d_")}}

def draw(H, HV, K, V, B, T, N, alike, seed, dtype):
    g = torch.Generator().manual_seed(seed)
    r = lambda *s: torch.randn(*s, generator=g)
    def rows(h):
        x = r(B, T, h, K) + 4 * alike * r(1, 1, h, K)
        return x * r(B, T, h, 1).exp()
    raw = {"q": rows(H), "k": rows(H), "v": r(B, T, HV, V), "a": 2 * r(B, T, HV), "b": 2 * r(B, T, HV)}
    raw = {n: x.to(dtype) for n, x in raw.items()}
    raw |= {"A_log": .7 * r(HV), "dt_bias": r(HV), "initial_state": r(N, HV, K, V)}
    grads = {"d_o": r(B, T, HV, V).to(dtype), "d_final_state": r(N, HV, K, V)}
    return {n: x.to(DEV) for n, x in raw.items()}, {n: x.to(DEV) for n, x in grads.items()}

def reference(text, raw, grads, parts, cu):
    leaves = {n: x.double().requires_grad_() for n, x in raw.items()}
    out = Recurrence(text)(cu, **cases.make(leaves, parts))
    loss = (out["o"] * grads["d_o"].double()).sum() + (out["final_state"] * grads["d_final_state"].double()).sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {n: x.detach() for n, x in out.items()} | {f"d_{n}": (torch.zeros_like(x) if d is None else d) for (n, x), d in zip(leaves.items(), found)}

def err(a, b):
    a, b = a.double(), b.double()
    return float((a - b).norm() / b.norm())

def check(name, H, HV, K, V, case):
    p = load(name)
    text = (HERE / f"{name}.mlir.txt").read_text()
    lens = case.get("lengths")
    cu = None if lens is None else torch.tensor([0, *torch.tensor(lens).cumsum(0).tolist()], device=DEV)
    T = case["T"]; B = 1 if lens else case["B"]; N = len(lens) if lens else B
    raw, grads = draw(H, HV, K, V, B, T, N, case.get("alike", 0), case["seed"], getattr(torch, case.get("dtype", "bfloat16")))
    raw = {n: x for n, x in raw.items() if n in p.inputs}
    want = reference(text, raw, grads, ("norm", "gates"), cu)
    a = run(p, raw, grads, cu); b = run(p, raw, grads, cu)
    same = all(torch.equal(a[n], b[n]) for n in a)
    e = {n: err(a[n], want[n]) for n in want}
    print(f"{name} {case} repeat {'equal' if same else 'DIFFERS'}", flush=True)
    print("   ", " ".join(f"{n} {x:.2e}" for n, x in e.items()), flush=True)

def graph(f):
    s = torch.cuda.Stream()
    with torch.cuda.stream(s):
        for _ in range(3): f()
    torch.cuda.synchronize()
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g): f()
    return g

def timed(fs, rounds=12, reps=5):
    best = [1e9] * len(fs)
    for _ in range(rounds):
        for i, f in enumerate(fs):
            s, e = torch.cuda.Event(True), torch.cuda.Event(True)
            s.record()
            for _ in range(reps): f.replay()
            e.record(); torch.cuda.synchronize()
            best[i] = min(best[i], s.elapsed_time(e) / reps)
    return best

def l2norm(x):
    w = x.float()
    return (w * torch.rsqrt(w.square().sum(-1, keepdim=True) + 1e-6)).to(x.dtype)

def gate(a, A_log, dt_bias):
    return -A_log.exp() * torch.nn.functional.softplus(a.float() + dt_bias)

def try_compile(f, *args):
    try:
        c = torch.compile(f); c(*args); return c
    except Exception as e:
        print("   no torch.compile:", str(e)[:80].replace("\n", " ")); return f

def times(B, T):
    H = 16
    raw, grads = draw(H, H, 128, 128, B, T, B, 0, 3, torch.bfloat16)
    q, k, v, a, b = (raw[n] for n in ("q", "k", "v", "a", "b"))
    A, dt, s0 = raw["A_log"], raw["dt_bias"], raw["initial_state"]
    norm = try_compile(lambda x: l2norm(x), q)
    gates = try_compile(lambda a, b, A, dt: (gate(a, A, dt), b.float().sigmoid()), a, b, A, dt)
    def made(eager):
        n, f = (l2norm, lambda *x: (gate(x[0], x[2], x[3]), x[1].float().sigmoid())) if eager else (norm, gates)
        g, beta = f(a, b, A, dt)
        return {"q": n(q), "k": n(k), "v": v, "g": g, "beta": beta}
    plain_in = made(True)
    for variant in ("separate", "fused-blocks"):
        pl, pr = load(f"fwd_plain_{variant}", False), load(f"fwd_p_{variant}", False)
        fs = [lambda: pr(**raw), lambda: pl(**plain_in, initial_state=s0), lambda: pl(**made(True), initial_state=s0), lambda: pl(**made(False), initial_state=s0)]
        o1, o2 = fs[0]()["o"], fs[1]()["o"]
        t = timed([graph(f) for f in fs])
        print(f"fwd {variant} {B}x{T} H16: prologue {t[0]:.4f} plain {t[1]:.4f} eager+plain {t[2]:.4f} compiled+plain {t[3]:.4f} ms; ratio to plain {t[0]/t[1]:.3f}; o differs {err(o1, o2):.1e}", flush=True)
    pl, pr = load("large_plain", False), load("large_p", False)
    def train(p, ins):
        out = p(**ins)
        given = ins | grads | {n: out[n] for n in p.residuals}
        return p.backward(**{n: given[n] for n in p.backward.inputs if n in given})
    leaves = {n: raw[n].clone().requires_grad_() for n in ("q", "k", "a", "b", "A_log", "dt_bias")}
    gr = train(pl, plain_in | {"initial_state": s0})
    def around():
        # what torch does around the plain program: prologue and its backward
        qn, kn = l2norm(leaves["q"]), l2norm(leaves["k"])
        g = gate(leaves["a"], leaves["A_log"], leaves["dt_bias"]); beta = leaves["b"].float().sigmoid()
        return torch.autograd.grad([qn, kn, g, beta], list(leaves.values()), [gr["d_q"], gr["d_k"], gr["d_g"], gr["d_beta"]])
    fs = [lambda: train(pr, raw), lambda: train(pl, plain_in | {"initial_state": s0}), around]
    t = timed([graph(f) for f in fs])
    print(f"train separate {B}x{T} H16: prologue {t[0]:.4f} plain {t[1]:.4f} torch's prologue and its backward, eager {t[2]:.4f} ms; ratio to plain {t[0]/t[1]:.3f}", flush=True)

if __name__ == "__main__":
    torch.manual_seed(0)
    print(torch.cuda.get_device_name(), torch.__version__)
    for case in ({"B": 2, "T": 333, "seed": 1}, {"B": 1, "T": 300, "alike": 1, "seed": 2}, {"lengths": [70, 0, 1, 129], "T": 210, "seed": 3}):
        try: check("small_p", 2, 2, 128, 128, case)
        except Exception as e:
            import traceback; traceback.print_exc()
    for B, T in ((4, 4096), (1, 8192)):
        try: times(B, T)
        except Exception as e:
            import traceback; traceback.print_exc()
