//===- Interpreter.h - The sequence level in float64 ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The reference that every compiled program is judged against: delta.recurrence
// token by token, elementwise arith and math on whole tensors, all in float64.
// Element types are not rounded to: bf16 inputs are arrays of doubles that bf16
// can represent, and a cast changes nothing.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_REFERENCE_INTERPRETER_H
#define WYVERN_REFERENCE_INTERPRETER_H

#include "wyvern/Reference/NDArray.h"

#include "mlir/Support/LLVM.h"

#include <map>

namespace mlir {
class DialectRegistry;
namespace func {
class FuncOp;
} // namespace func
} // namespace mlir

namespace mlir::wyvern::reference {

using NamedArrays = std::map<std::string, NDArray>;

/// Runs a function on one array an argument; one array a result. Diagnostics
/// are emitted on the operation that fails.
FailureOr<std::vector<NDArray>> interpret(func::FuncOp func,
                                          ArrayRef<NDArray> arguments);

/// The same by name: `delta.name` of an argument or result, else `arg0`, ...
/// and `result0`, .... `initial_state` may be absent (zeros), and so may
/// `cu_seqlens` (no packing).
FailureOr<NamedArrays> interpret(func::FuncOp func,
                                 const NamedArrays &arguments);

/// The names of a function's arguments and results, as above.
std::vector<std::string> getArgumentNames(func::FuncOp func);
std::vector<std::string> getResultNames(func::FuncOp func);

/// Random arguments for `batch` sequences of `time` tokens, each from the law
/// of its role in a recurrence: decays -|N(0, 1)|, rates U(0, 1), keys and
/// queries random unit rows, anything else N(0, 1). No packing.
FailureOr<NamedArrays> randomArguments(func::FuncOp func, int64_t batch,
                                       int64_t time, uint64_t seed);

/// The dialects of programs that `interpret` takes.
void registerInterpretedDialects(DialectRegistry &registry);

} // namespace mlir::wyvern::reference

#endif // WYVERN_REFERENCE_INTERPRETER_H
