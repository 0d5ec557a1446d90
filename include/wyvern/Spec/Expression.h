//===- Expression.h - What a layer computes for each token ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `compute` of a spec: what stands in front of the recurrence, as assignments
// of expressions to names, in order.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SPEC_EXPRESSION_H
#define WYVERN_SPEC_EXPRESSION_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/SMLoc.h"

#include <string>
#include <vector>

namespace mlir::wyvern {

/// A sum, a product, or a function of names and numbers.
struct Expression {
  enum Kind { Number, Name, Negate, Add, Subtract, Multiply, Call };

  Kind kind = Number;
  double number = 0;
  std::string text; ///< The name, or the function's.
  std::vector<Expression> operands;
  llvm::SMLoc loc;
  /// Of a name, the assignment that it reads; -1 for an argument of the layer.
  int definition = -1;

  std::string str() const;
};

/// An assignment. A later one may have the same name, and read the earlier.
struct Definition {
  std::string name;
  Expression value;
  llvm::SMLoc loc;
};

/// What an argument of the layer has for a token, or with a parameter for all
/// tokens alike.
enum class RowKind {
  Head,    ///< a number a value head
  Key,     ///< a row of K channels a key head
  Value,   ///< a row of V channels a value head
  Channel, ///< a row of K channels a value head
  Angle,   ///< a row of K / 2 angles a key head
};

/// An argument that says itself what it is.
struct DeclaredName {
  std::string name;
  RowKind kind;
  bool isParameter = false; ///< The same for all tokens.
  llvm::SMLoc loc;
};

/// Where and why a text is no expression.
struct ExpressionError {
  llvm::SMLoc loc;
  std::string message;
};

/// Returns the functions that expressions may call.
ArrayRef<StringRef> getExpressionFunctions();

/// True for a sum over the tokens so far, which is all of a definition.
inline bool isRunningSum(const Expression &value) {
  return value.kind == Expression::Call && value.text == "running_sum";
}

/// Returns what `text` says, whose first character stands at `start`; failure,
/// and why, if it is no expression. Takes its names and numbers off those that
/// the layer may still have.
FailureOr<Expression> parseExpression(StringRef text, const char *start,
                                      int &leavesLeft, ExpressionError &error);

} // namespace mlir::wyvern

#endif // WYVERN_SPEC_EXPRESSION_H
