//===- ProgramInfo.h - What a compiled program is ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The plain data behind manifest.json and the C header: the tensors of a
// program, and its variants, each with kernels in launch order and how their
// parameters are filled; for training, twice. The GPU lowering fills it in; the
// writers and ptxas need no MLIR.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_PROGRAMINFO_H
#define WYVERN_TARGET_PROGRAMINFO_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlir::wyvern {

/// What one dimension of a tensor counts; as WYVERN_DIM_* of wyvern_rt.h.
enum class DimRange { Seq, Time, Chunk, Head, Whole, Slot, Segment };

struct DimInfo {
  DimRange kind = DimRange::Whole;
  int64_t multiple = 0; ///< Time: rows a token. Chunk: chunks a slot.
  /// Head, Whole: the extent. Time: the most tokens, or 0 for any number.
  int64_t size = 0;

  bool operator==(const DimInfo &other) const {
    return kind == other.kind && multiple == other.multiple &&
           size == other.size;
  }
};

enum class TensorRole { Input, Output, Workspace };

struct TensorInfo {
  std::string name;
  TensorRole role = TensorRole::Input;
  std::string dtype; ///< bf16 | f16 | f32 | f64 | i32 | i64
  bool optional = false;
  std::vector<DimInfo> dims; ///< Slowest first.
  /// An output of the forward that is an input of the backward.
  bool residual = false;
  std::string what; ///< A residual: what it is, in words; may be empty.
  /// An input that kernels write, too: a pool of states.
  bool inPlace = false;
};

enum class ParamKind {
  TensorMap,
  Pointer,
  Stride,
  CuSeqlens,
  CuWidth,
  Tokens,
  Sequences,
  Segment,
  SlotTokens,
  Part
};

/// How the runtime fills one kernel parameter.
struct ParamInfo {
  ParamKind kind = ParamKind::Pointer;
  std::string tensor;       ///< TensorMap, Pointer, Stride.
  int64_t dim = 0;          ///< Stride.
  std::vector<int64_t> box; ///< TensorMap: as the tensor's dims.
  int64_t swizzle = 0;      ///< TensorMap: bytes.
};

/// gridDim.x is `gridFactor` times this; slots are of `gridChunks` chunks,
/// segments of as many as the launch chooses.
enum class GridCount { Slots, Sequences, Segments };

/// Returns its name in manifests and in `tile.kernel`.
inline const char *getName(GridCount count) {
  constexpr const char *names[] = {"slots", "sequences", "segments"};
  return names[static_cast<unsigned>(count)];
}

/// When blocks of a kernel may start; as WYVERN_WAITS_*.
enum class Waits { Not, First, Last };

/// Which tokens of sequences a kernel goes through; as WYVERN_PART_*.
enum class Part { All, First, Second, Middle, Last };

/// What ptxas said about one kernel.
struct KernelResources {
  int64_t registers = 0;
  int64_t barriers = 0;
  int64_t staticShared = 0;
  int64_t stack = 0;
  int64_t spillStores = 0;
  int64_t spillLoads = 0;
};

/// What a block of a kernel is estimated to cost; as wyvern_cost_desc of
/// wyvern_rt.h, and all 0 where nobody has estimated it.
struct CostInfo {
  int64_t stepChunks = 0; ///< 0, where there is an estimate: a segment's.
  int64_t residents = 0;
  int64_t blockCycles = 0;
  int64_t stepCycles = 0;
  int64_t stepWork = 0;
  int64_t stepBytes = 0;
};

struct KernelInfo {
  std::string symbol;
  GridCount gridCount = GridCount::Slots;
  int64_t gridFactor = 1;
  int64_t gridChunks = 1; ///< Slots: chunks a slot.
  int64_t block = 128;
  int64_t dynamicShared = 0;
  Waits waits = Waits::Not; ///< Itself, for what is launched before it.
  /// It could wait in the end, where a variant has it beside another kernel.
  bool canWaitLast = false;
  Part part = Part::All;
  std::vector<ParamInfo> params;

  std::string ptx;   ///< A PTX module that holds this kernel alone.
  std::string cubin; ///< Bytes; empty until assembled.
  KernelResources resources;
  /// A spill, or a message of ptxas that costs most of a kernel's speed.
  std::vector<std::string> faults;
  CostInfo cost;

  /// The name of its files in a bundle, without an extension: unlike the symbol
  /// it is another one where another variant has a kernel of the same name.
  /// Kernels that are the same have one file.
  std::string file;
  std::string getImageName() const { return file + ".cubin"; }
};

/// The tensors of the caller that a sequence's state begins and ends in.
struct StateInfo {
  std::string initial, final;

  bool operator==(const StateInfo &other) const {
    return initial == other.initial && final == other.final;
  }
};

/// How a launch cuts sequences for kernels that have a part each, as
/// wyvern_cut_desc.
struct CutInfo {
  /// The first part is a sequence's last tokens.
  bool isReverse = false;
  /// In sixteenths of a segment; 0 where no kernel has a part.
  int64_t first = 0, second = 0, last = 0;
};

/// One way to compute a program.
struct VariantInfo {
  std::string name;
  std::vector<TensorInfo> workspace;
  std::vector<KernelInfo> kernels; ///< In launch order.
  /// What it hands on from one sequence to the next that continues it.
  std::vector<StateInfo> states = {};
  /// Such a sequence is computed as if it were one with the one before.
  bool inParts = false;
  CutInfo cut = {};
};

/// True if each launch chooses how long the variant's segments are.
inline bool hasSegments(const VariantInfo &variant) {
  for (const KernelInfo &kernel : variant.kernels)
    if (kernel.gridCount == GridCount::Segments)
      return true;
  return false;
}

/// The GPU that costs are estimated for; as wyvern_machine_desc, and what the
/// compiler alone asks for.
struct MachineInfo {
  int64_t sms = 0;
  int64_t bytesPerCycle = 0;
  int64_t launchCycles = 0;
  int64_t codeBytes = 0; ///< Of instructions that SMs of a GPC share.
};

struct ProgramInfo {
  std::string name;
  std::string target;              ///< The architecture, as in ptxas -arch.
  int64_t chunk = 64;              ///< Tokens.
  std::vector<TensorInfo> tensors; ///< Inputs, then outputs.
  MachineInfo machine;
  std::vector<VariantInfo> variants; ///< At least one.
};

/// Returns the index of a tensor, or -1.
inline int64_t findTensor(const std::vector<TensorInfo> &tensors,
                          const std::string &name) {
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].name == name)
      return static_cast<int64_t>(i);
  return -1;
}

/// Returns the index of a tensor as a parameter counts it, the variant's
/// workspace behind the program's tensors; or -1.
inline int64_t findTensor(const ProgramInfo &program,
                          const VariantInfo &variant, const std::string &name) {
  int64_t index = findTensor(program.tensors, name);
  if (index >= 0)
    return index;
  index = findTensor(variant.workspace, name);
  return index < 0 ? -1 : index + static_cast<int64_t>(program.tensors.size());
}

/// What a bundle for serving says of its pools of states.
struct ServingInfo {
  std::string entry;       ///< step or prefill
  std::string stateLayout; ///< vk or kv
  int64_t firstSlot = 0;   ///< Slots below are none.
};

/// What the forward of a bundle that trains saves.
struct SavedInfo {
  std::string what;    ///< As --save says it.
  bool chosen = false; ///< By the compiler.
  /// Why states, which it had chosen, are not saved; empty if they are, or
  /// were not chosen.
  std::string refused = {};
};

/// What a bundle holds: a program (with `serving` that of steps or prompts)
/// and, if it was compiled for training, the one that takes the gradients of
/// its outputs to those of its inputs. Each has its own variants: any of the
/// backward takes what any of the forward saves.
struct BundleInfo {
  ProgramInfo forward;
  std::optional<ProgramInfo> backward;
  std::optional<ServingInfo> serving = std::nullopt;
  std::optional<SavedInfo> saved = std::nullopt;

  std::vector<ProgramInfo *> getPrograms() {
    std::vector<ProgramInfo *> programs = {&forward};
    if (backward)
      programs.push_back(&*backward);
    return programs;
  }
  /// The kernels of all variants of all programs.
  std::vector<KernelInfo *> getKernels() {
    std::vector<KernelInfo *> kernels;
    for (ProgramInfo *program : getPrograms())
      for (VariantInfo &variant : program->variants)
        for (KernelInfo &kernel : variant.kernels)
          kernels.push_back(&kernel);
    return kernels;
  }
};

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_PROGRAMINFO_H
