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

bool mlir::wyvern::addParts(ProgramInfo &program) {
  const VariantInfo *segments = findSegments(program);
  if (!segments)
    return false;
  const VariantInfo *whole = findWhole(program, *segments);
  if (!whole)
    return false;
  StateInfo caller = segments->states.front();
  VariantInfo made;
  made.name = whole->name + "-parts";
  made.states = segments->states;
  made.workspace = segments->workspace;
  const TensorInfo &state =
      program.tensors[findTensor(program.tensors, caller.initial)];
  for (StringRef name : {kBehindFirst, kBehindSecond, kBehindMiddle})
    made.workspace.push_back(createHandedOn(state, name));
  auto addBeside = [&](Part part, const StateInfo &own) {
    made.kernels.push_back(takePart(whole->kernels.front(), part, caller, own));
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
