# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GPU time and host time of calls, apart, in one process.

GPU time is between two events around a call. The GPU is kept busy with writes that
flush the L2 cache until the host has queued the whole call, so gaps between launches
that only the host makes do not count; a call that waits for the GPU by itself has its
waiting in its time. Contestants take turns, so that a clock that drifts drifts for all.
"""

import statistics
import time

import torch

FLUSHED_BYTES = 256 << 20
# What one flush takes at the least, so that the host surely has its time.
FLUSH_MS = FLUSHED_BYTES / 4.8e9


def host_ms(call, repeats=9):
    """What a call costs the host on an idle GPU: median of the time until it returns."""
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    torch.cuda.synchronize()
    return statistics.median(times)


def flushes_for(host):
    """How many flushes hide a host time: twice as long, and at least one."""
    return 1 + int(2 * host / FLUSH_MS)


def gpu_ms_once(call, buffer, flushes):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(flushes):
        buffer.zero_()
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def measure(calls, repeats=25, warmup=3):
    """{name: {"gpu_ms", "host_ms", "samples"}} of calls by name, taking turns."""
    buffer = torch.empty(FLUSHED_BYTES, dtype=torch.uint8, device="cuda")
    for call in calls.values():
        for _ in range(warmup):
            call()
    hosts = {name: host_ms(call) for name, call in calls.items()}
    samples = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            samples[name].append(gpu_ms_once(call, buffer, flushes_for(hosts[name])))
    return {
        name: {"gpu_ms": statistics.median(times), "host_ms": hosts[name], "samples": times}
        for name, times in samples.items()
    }


def kernel_us(call, repeats=7):
    """{name: us} of each kernel of a call, medians, in the order in which they ran; kernels
    of one name are numbered."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    runs = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        with torch.profiler.profile(activities=activities) as profile:
            call()
            torch.cuda.synchronize()
        launched = (x for x in profile.events() if x.device_type == torch.autograd.DeviceType.CUDA)
        runs.append([(x.name, x.device_time) for x in sorted(launched, key=lambda x: x.time_range.start)])
    times = {}
    for events in zip(*runs):
        name = events[0][0]
        number = sum(x.partition(" #")[0] == name for x in times)
        times[f"{name} #{number + 1}" if number else name] = statistics.median(us for _, us in events)
    return times
