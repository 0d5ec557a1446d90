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

/// Returns the variant of one kernel that could run beside those of `segments`
/// and has as many blocks for a sequence as they for a segment; null if there
/// is none.
static const VariantInfo *findWhole(const ProgramInfo &program,
                                    const VariantInfo &segments) {
  for (const VariantInfo &variant : program.variants) {
    if (variant.kernels.size() != 1 || !variant.workspace.empty())
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
/// caller's where there is one.
static KernelInfo takePart(const KernelInfo &kernel, Part part,
                           const StateInfo &caller, const StateInfo &own) {
  KernelInfo taken = kernel;
  taken.part = part;
  for (ParamInfo &param : taken.params) {
    if (param.tensor == caller.initial)
      param.tensor = own.initial;
    else if (param.tensor == caller.final)
      param.tensor = own.final;
  }
  return taken;
}

/// Returns a workspace tensor for states like `state`.
static TensorInfo createHandedOn(const TensorInfo &state, StringRef name) {
  TensorInfo tensor = state;
  tensor.name = name.str();
  tensor.role = TensorRole::Workspace;
  tensor.optional = false;
  return tensor;
}

/// Returns the sixteenths of a segment that the kernel of whole sequences goes
/// through while `kernel` goes through a segment, by their estimates, of which
/// `percent` is what is measured. What is late makes all behind it late, so it
/// is less than a segment.
static int64_t getShare(const KernelInfo &whole, const KernelInfo &kernel,
                        int64_t percent) {
  int64_t step = std::max<int64_t>(100 * whole.cost.stepCycles, 1);
  int64_t share = (16 * percent * kernel.cost.stepCycles + step / 2) / step;
  return std::clamp<int64_t>(share, 1, 15);
}

/// Returns how to cut sequences for `whole` and the kernels of `segments`
/// (docs/performance.md, "Training in parts").
static CutInfo findCut(const KernelInfo &whole, const VariantInfo &segments) {
  // Ends and transitions leave the memory less to others than is estimated, the
  // last chain waits for it longer.
  constexpr int64_t early = 78, late = 110;
  CutInfo cut = segments.cut;
  cut.first = getShare(whole, segments.kernels[0], early);
  cut.second = getShare(whole, segments.kernels[1], early);
  cut.last = getShare(whole, segments.kernels[3], late);
  return cut;
}

/// True if SMs hold the code of two kernels that run beside each other: what
/// one does not find in its own cache it fetches through those that it shares
/// with its neighbours. Of two kernels of 128 KB each on these, both wait
/// (measured there).
static bool haveRoomForCode(const KernelInfo &one, const KernelInfo &other) {
  constexpr size_t most = 224 * 1024;
  return one.cubin.size() + other.cubin.size() <= most;
}

bool mlir::wyvern::addParts(ProgramInfo &program) {
  const VariantInfo *segments = findSegments(program);
  if (!segments)
    return false;
  const VariantInfo *whole = findWhole(program, *segments);
  if (!whole)
    return false;
  const KernelInfo &wholeKernel = whole->kernels.front();
  if (!haveRoomForCode(wholeKernel, segments->kernels.back()))
    return false;
  StateInfo caller = segments->states.front();
  VariantInfo made;
  made.name = whole->name + "-parts";
  made.states = segments->states;
  made.workspace = segments->workspace;
  made.cut = findCut(wholeKernel, *segments);
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
