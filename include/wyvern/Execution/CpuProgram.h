//===- CpuProgram.h - A chunk program compiled for this CPU -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same program that becomes GPU kernels, as a function to call: for tests,
// for machines without a GPU, and as the judge of kernels (the `rounded` phase
// rounds where they round).
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_EXECUTION_CPUPROGRAM_H
#define WYVERN_EXECUTION_CPUPROGRAM_H

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Pipelines/ProgramOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Error.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace mlir {
class ExecutionEngine;
} // namespace mlir

namespace mlir::wyvern {

/// Dialects and interfaces that the CPU path needs beyond the delta dialect.
void registerCpuDialects(DialectRegistry &registry);

/// From chunk programs (phases wy, staged, rounded) or their kernels (phase
/// scheduled) to the LLVM dialect.
void buildCpuPipeline(OpPassManager &pm);

/// Registers it as --wyvern-lower-to-cpu.
void registerCpuPipeline();

struct CpuOptions : ProgramOptions {
  /// The function to compile; empty for the module's only one, or its forward.
  std::string entry;
  /// How far passes bring the module before it is lowered to loops: wy,
  /// differentiated, staged, rounded or scheduled. Those that it has behind it
  /// change nothing.
  std::string phase = "wy";
  /// What `rounded` rounds to: bf16 or f16.
  std::string operandType = "bf16";
  /// Compile the backward of the function and not the function.
  bool backward = false;
  /// The strategy of the phase scheduled: one of getSchedules().
  std::string schedule = "separate";
  /// Tokens of the segments that `staged` cuts sequences into; 0 for none.
  int64_t segmentTokens = 0;
};

/// What the integers of an argument are.
enum class CpuIndices {
  Offsets,
  ReadSlots,
  WriteSlots,
  Lengths,
  KeepSlots,
  Seeds
};

/// An argument or a result of a program.
struct CpuTensor {
  std::string name;
  /// bf16, f16, f32, f64, i32 or i64.
  std::string dtype;
  /// -1 where the size is known at run time only.
  std::vector<int64_t> shape;
  /// What each dimension is: seq, time (with its rows a token), chunk, head,
  /// slot or whole.
  std::vector<delta::BoundDim> dims;
  /// Tokens a chunk; 0 if no chunk program binds the tensor.
  int64_t chunk = 0;
  /// The most tokens that there may be; 0 for any number.
  int64_t mostTokens = 0;
  /// A log decay of a recurrence: no element may be positive.
  bool isGate = false;
  /// Saved by a forward for its backward.
  bool isResidual = false;
  /// Of a tensor of integers: what they are. All but offsets are one a
  /// sequence, or of slots to keep states in one a chunk.
  CpuIndices indices = CpuIndices::Offsets;
  /// May be empty, and then means nothing.
  bool mayBeEmpty() const {
    return indices != CpuIndices::Offsets && indices != CpuIndices::ReadSlots;
  }
};

/// A tensor of the caller's: any strides, in elements.
struct CpuBuffer {
  void *data = nullptr;
  std::vector<int64_t> shape, strides;
};

/// A result: owns its memory; contiguous, last dimension fastest.
struct CpuResult {
  std::unique_ptr<void, decltype(&std::free)> memory{nullptr, &std::free};
  CpuBuffer buffer;
};

/// One entry function, compiled. Deterministic: the same inputs give the same
/// bits, alone or in a batch. `run` may be called from several threads.
class CpuProgram {
public:
  /// Compiles one function of the module, which may be at any phase from the
  /// sequence level on and is used up. Errors carry the diagnostics, with their
  /// locations.
  static llvm::Expected<std::unique_ptr<CpuProgram>>
  compile(ModuleOp module, const CpuOptions &options = {});

  /// The same from MLIR text.
  static llvm::Expected<std::unique_ptr<CpuProgram>>
  compile(StringRef source, const CpuOptions &options = {});

  ~CpuProgram();

  StringRef getName() const { return name; }
  /// Tokens of the chunks that slots to keep states in are of; 0 without these.
  int64_t getKeptChunk() const;
  /// True for a forward: compiled with `backward`, its module gives the other.
  bool hasBackward() const { return isForward; }
  ArrayRef<CpuTensor> getInputs() const { return inputs; }
  ArrayRef<CpuTensor> getResults() const { return results; }

  /// Runs on one buffer for each of `getInputs()`, in order, and gives one
  /// result for each of `getResults()`. An error if shapes do not fit each
  /// other, cu_seqlens is no sequence of offsets into the tokens or a slot is
  /// none of the pool's.
  llvm::Expected<std::vector<CpuResult>> run(ArrayRef<CpuBuffer> buffers) const;

private:
  CpuProgram() = default;

  std::string name;
  bool isForward = false;
  std::vector<CpuTensor> inputs, results;
  std::unique_ptr<ExecutionEngine> engine;
  void (*function)(void **) = nullptr;
};

} // namespace mlir::wyvern

#endif // WYVERN_EXECUTION_CPUPROGRAM_H
