//===- TensorSignature.h - Names and shapes of a program's tensors --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_EXECUTION_TENSORSIGNATURE_H
#define WYVERN_LIB_EXECUTION_TENSORSIGNATURE_H

#include "wyvern/Execution/CpuProgram.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern {

int64_t getElementBytes(StringRef dtype);

/// Reads names from `delta.name`, and what each dimension is from the chunk
/// programs that read an argument or make a result.
llvm::Error readSignature(func::FuncOp function, std::vector<CpuTensor> &inputs,
                          std::vector<CpuTensor> &results);

/// Names of the arguments that are the log decay of a recurrence.
std::vector<std::string> getGateNames(func::FuncOp function);

/// Checks that the buffers are shaped as the inputs say and agree on the number
/// of batch rows, tokens and sequences, and that cu_seqlens lies within the
/// tokens. Compiled code checks nothing.
llvm::Error checkBuffers(ArrayRef<CpuTensor> inputs,
                         ArrayRef<CpuBuffer> buffers);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_EXECUTION_TENSORSIGNATURE_H
