//===- AddParts.cpp - A variant of segments between whole sequences -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of two variants: the one of whole sequences takes the first two
// parts of a sequence and the last one, those of segments what lies between.
// They hand states on through the workspace.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::wyvern;

static constexpr StringLiteral kBehindFirst = "behind_first",
                               kBehindSecond = "behind_second",
                               kBehindMiddle = "behind_middle";

/// Returns the variant of one kernel that could run beside those of `segments`,
/// has as many blocks for a sequence as they for a segment, and is made as
/// their last chain is; null if there is none.
static const VariantInfo *findWhole(const ProgramInfo &program,
                                    const VariantInfo &segments) {
  for (const VariantInfo &variant : program.variants) {
    if (variant.kernels.size() != 1 || !variant.workspace.empty() ||
        variant.name + "-segments" != segments.name)
      continue;
    const KernelInfo &kernel = variant.kernels.front();
    if (kernel.gridCount == GridCount::Sequences && kernel.canWaitLast &&
        kernel.gridFactor == segments.kernels.front().gridFactor &&
        variant.states == segments.states)
      return &variant;
  }
  return nullptr;
}

/// Returns the variant of segments that others could run beside: ends,
/// transitions, and behind their join a last chain; null if there is none.
static const VariantInfo *findSegments(const ProgramInfo &program) {
  static constexpr GridCount counts[] = {
      GridCount::Segments, GridCount::Segments, GridCount::Sequences,
      GridCount::Segments};
  auto hasCount = [](const KernelInfo &kernel, GridCount count) {
    return kernel.gridCount == count;
  };
  for (const VariantInfo &variant : program.variants)
    if (variant.inParts && variant.states.size() == 1 &&
        llvm::equal(variant.kernels, counts, hasCount))
      return &variant;
  return nullptr;
}

/// Returns `kernel` for a part, with a state of that part in the place of the
/// caller's where there is one. A pool is both: a kernel is first told where
/// states begin, and then where they end.
static KernelInfo takePart(const KernelInfo &kernel, Part part,
                           const StateInfo &caller, const StateInfo &own) {
  KernelInfo taken = kernel;
  taken.part = part;
  bool isPool = caller.initial == caller.final;
  unsigned pointers = 0;
  for (ParamInfo &param : taken.params) {
    if (param.tensor == caller.initial && param.kind == ParamKind::Pointer)
      ++pointers;
    if (param.tensor == caller.initial)
      param.tensor = isPool && pointers == 2 ? own.final : own.initial;
    else if (param.tensor == caller.final)
      param.tensor = own.final;
  }
  return taken;
}

/// Returns a workspace tensor for states like `state`, one a sequence.
static TensorInfo createHandedOn(const TensorInfo &state, StringRef name) {
  TensorInfo tensor = state;
  tensor.name = name.str();
  tensor.role = TensorRole::Workspace;
  tensor.optional = tensor.inPlace = false;
  for (DimInfo &dim : tensor.dims)
    if (dim.kind == DimRange::Slot)
      dim.kind = DimRange::Seq;
  return tensor;
}

/// Returns the cycles of a step: by itself, or by what an SM's share of the
/// memory takes for it.
static int64_t getStep(const KernelInfo &kernel, const MachineInfo &machine) {
  int64_t bytesPerCycle = std::max<int64_t>(machine.bytesPerCycle, 1);
  return std::max(kernel.cost.stepCycles,
                  kernel.cost.stepBytes * machine.sms / bytesPerCycle);
}

/// Returns how to cut sequences for `whole` and the kernels of `segments`: a
/// part is what `whole` goes through, by estimates, while the kernel beside it
/// goes through a segment, times what is measured
/// (docs/performance/training.md, "training in parts"). What is late makes all
/// behind it late, so the first parts are shorter than that.
static CutInfo findCut(const KernelInfo &whole, const VariantInfo &segments,
                       const MachineInfo &machine) {
  auto getShare = [&](size_t number, int64_t percent, int64_t most) {
    int64_t step = std::max<int64_t>(100 * getStep(whole, machine), 1);
    int64_t other = getStep(segments.kernels[number], machine);
    int64_t share = (16 * percent * other + step / 2) / step;
    return std::clamp<int64_t>(share, 1, most);
  };
  CutInfo cut = segments.cut;
  cut.first = getShare(0, 80, 10);
  cut.second = getShare(1, 80, 7);
  cut.last = getShare(3, 108, 14);
  return cut;
}

/// False for two kernels of so much code that each runs badly beside the other:
/// where two have as much each as the SMs of a GPC hold together, both take
/// half as long again; with 1.3 times of that together they do not
/// (docs/performance/training.md, "what a GPC delivers of instructions").
static bool haveRoomForCode(const KernelInfo &one, const KernelInfo &other,
                            const MachineInfo &machine) {
  auto bytes = static_cast<int64_t>(one.cubin.size() + other.cubin.size());
  return 4 * bytes <= 7 * machine.codeBytes;
}

bool mlir::wyvern::addParts(ProgramInfo &program) {
  const VariantInfo *segments = findSegments(program);
  if (!segments)
    return false;
  const VariantInfo *whole = findWhole(program, *segments);
  if (!whole)
    return false;
  const KernelInfo &wholeKernel = whole->kernels.front();
  if (!haveRoomForCode(wholeKernel, segments->kernels.back(), program.machine))
    return false;
  StateInfo caller = segments->states.front();
  VariantInfo made;
  made.name = whole->name + "-parts";
  made.states = segments->states;
  made.workspace = segments->workspace;
  made.cut = findCut(wholeKernel, *segments, program.machine);
  const TensorInfo &state =
      program.tensors[findTensor(program.tensors, caller.initial)];
  for (StringRef name : {kBehindFirst, kBehindSecond, kBehindMiddle})
    made.workspace.push_back(createHandedOn(state, name));
  auto addBeside = [&](Part part, const StateInfo &own) {
    made.kernels.push_back(takePart(wholeKernel, part, caller, own));
    made.kernels.back().waits = Waits::Last;
  };
  std::string first = kBehindFirst.str(), second = kBehindSecond.str(),
              middle = kBehindMiddle.str();
  auto addOwn = [&](size_t number) {
    made.kernels.push_back(takePart(segments->kernels[number], Part::Middle,
                                    caller, {second, middle}));
  };
  addOwn(0);
  addBeside(Part::First, {caller.initial, first});
  addOwn(1);
  addBeside(Part::Second, {first, second});
  addOwn(2);
  addOwn(3);
  addBeside(Part::Last, {middle, caller.final});
  program.variants.push_back(std::move(made));
  return true;
}
