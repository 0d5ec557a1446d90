//===- Expression.cpp - Reading and printing expressions ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Spec/Expression.h"

#include "FormatNumber.h"
#include "SpecLimits.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;

ArrayRef<StringRef> mlir::wyvern::getExpressionFunctions() {
  static constexpr StringRef functions[] = {
      "exp",     "normalize", "rotate",  "running_sum",
      "sigmoid", "silu",      "softplus"};
  return functions;
}

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

/// How tightly the operator of an expression binds.
static int getPrecedence(const Expression &expression) {
  switch (expression.kind) {
  case Expression::Add:
  case Expression::Subtract:
    return 1;
  case Expression::Multiply:
    return 2;
  case Expression::Negate:
    return 3;
  default:
    return expression.kind == Expression::Number && expression.number < 0 ? 3
                                                                          : 4;
  }
}

/// Returns `operand` in parentheses where it binds less than `least`.
static std::string format(const Expression &operand, int least) {
  std::string text = operand.str();
  return getPrecedence(operand) < least ? "(" + text + ")" : text;
}

std::string Expression::str() const {
  int own = getPrecedence(*this);
  switch (kind) {
  case Number:
    return formatNumber(number);
  case Name:
    return text;
  case Negate:
    return "-" + format(operands[0], own + 1);
  case Add:
    return format(operands[0], own) + " + " + format(operands[1], own + 1);
  case Subtract:
    return format(operands[0], own) + " - " + format(operands[1], own + 1);
  case Multiply:
    return format(operands[0], own) + " * " + format(operands[1], own + 1);
  case Call:
    return text + "(" +
           llvm::join(llvm::map_range(operands,
                                      [](const Expression &operand) {
                                        return operand.str();
                                      }),
                      ", ") +
           ")";
  }
  llvm_unreachable("unknown kind of expression");
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {
/// Reads sums of products of factors, from left to right.
class Parser {
public:
  Parser(StringRef text, const char *start, int &leavesLeft,
         ExpressionError &error)
      : text(text), rest(text), start(start), leavesLeft(leavesLeft),
        error(error) {}

  FailureOr<Expression> parse();

private:
  FailureOr<Expression> parseSum();
  FailureOr<Expression> parseProduct();
  FailureOr<Expression> parseFactor();
  FailureOr<Expression> parseNumber();
  FailureOr<Expression> parseName();
  FailureOr<Expression> parseLeaf();
  /// Takes the next character, past spaces, if it is `wanted`.
  bool consume(char wanted) {
    rest = rest.ltrim();
    return rest.consume_front(StringRef(&wanted, 1));
  }
  SMLoc here() {
    rest = rest.ltrim();
    return SMLoc::getFromPointer(start + (rest.data() - text.data()));
  }
  Expression make(Expression::Kind kind, SMLoc loc) {
    Expression made;
    made.kind = kind;
    made.loc = loc;
    return made;
  }
  /// Returns an operation of two operands, neither of which is copied: `left`
  /// may be all that was read so far.
  Expression join(Expression::Kind kind, SMLoc loc, Expression left,
                  Expression right) {
    Expression made = make(kind, loc);
    made.operands.reserve(2);
    made.operands.push_back(std::move(left));
    made.operands.push_back(std::move(right));
    return made;
  }
  LogicalResult fail(SMLoc loc, const Twine &message) {
    error = {loc, message.str()};
    return failure();
  }
  LogicalResult failHere(StringRef expected) {
    SMLoc loc = here();
    // A character of UTF-8 is told whole: its other bytes begin with 10.
    size_t length = 1;
    while (length < rest.size() && (rest[length] & 0xc0) == 0x80)
      ++length;
    return fail(loc,
                "expected " + expected + ", found " +
                    (rest.empty() ? "the end of the expression"
                                  : "'" + rest.take_front(length).str() + "'"));
  }

  /// Deep enough for any layer, and for no reader's stack.
  static constexpr int kMostNesting = 64;

  StringRef text, rest;
  const char *start;
  int &leavesLeft;
  ExpressionError &error;
  int depth = 0;
};
} // namespace

FailureOr<Expression> Parser::parse() {
  FailureOr<Expression> made = parseSum();
  here();
  if (succeeded(made) && !rest.empty())
    return failHere("an operator (+, -, *) or the end of the expression");
  return made;
}

FailureOr<Expression> Parser::parseSum() {
  if (++depth > kMostNesting)
    return fail(here(), "expected at most " + Twine(kMostNesting) +
                            " expressions inside of one another");
  FailureOr<Expression> sum = parseProduct();
  while (succeeded(sum)) {
    SMLoc loc = here();
    Expression::Kind kind = Expression::Add;
    if (!consume('+')) {
      if (!consume('-'))
        break;
      kind = Expression::Subtract;
    }
    FailureOr<Expression> right = parseProduct();
    if (failed(right))
      return failure();
    sum = join(kind, loc, std::move(*sum), std::move(*right));
  }
  --depth;
  return sum;
}

FailureOr<Expression> Parser::parseProduct() {
  FailureOr<Expression> product = parseFactor();
  while (succeeded(product)) {
    SMLoc loc = here();
    if (!consume('*'))
      break;
    FailureOr<Expression> right = parseFactor();
    if (failed(right))
      return failure();
    product =
        join(Expression::Multiply, loc, std::move(*product), std::move(*right));
  }
  return product;
}

FailureOr<Expression> Parser::parseFactor() {
  SMLoc loc = here();
  if (consume('-')) {
    if (++depth > kMostNesting)
      return fail(loc, "expected at most " + Twine(kMostNesting) +
                           " expressions inside of one another");
    FailureOr<Expression> operand = parseFactor();
    --depth;
    if (failed(operand))
      return failure();
    Expression made = make(Expression::Negate, loc);
    made.operands.push_back(std::move(*operand));
    return made;
  }
  if (consume('(')) {
    FailureOr<Expression> inside = parseSum();
    if (succeeded(inside) && !consume(')'))
      return failHere("an operator (+, -, *) or ')'");
    return inside;
  }
  return parseLeaf();
}

FailureOr<Expression> Parser::parseLeaf() {
  SMLoc loc = here();
  if (--leavesLeft < 0)
    return fail(loc, "expected at most " + Twine(limits::maxLeaves) +
                         " names and numbers in all that a layer computes; "
                         "compute the rest in front of it");
  if (!rest.empty() && (llvm::isDigit(rest.front()) || rest.front() == '.'))
    return parseNumber();
  return parseName();
}

FailureOr<Expression> Parser::parseNumber() {
  SMLoc loc = here();
  size_t length =
      rest.find_if_not([](char c) { return llvm::isAlnum(c) || c == '.'; });
  length = std::min(length, rest.size());
  // The sign of an exponent.
  if (length < rest.size() && llvm::toLower(rest[length - 1]) == 'e' &&
      (rest[length] == '-' || rest[length] == '+'))
    length +=
        1 + std::min(rest.drop_front(length + 1).find_if_not(llvm::isDigit),
                     rest.size() - length - 1);
  StringRef digits = rest.take_front(length);
  Expression made = make(Expression::Number, loc);
  if (digits.getAsDouble(made.number) || !std::isfinite(made.number))
    return fail(loc, "expected a finite number, found '" + digits + "'");
  rest = rest.drop_front(length);
  return made;
}

FailureOr<Expression> Parser::parseName() {
  SMLoc loc = here();
  StringRef name =
      rest.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; });
  if (name.empty())
    return failHere("a name, a number or '('");
  rest = rest.drop_front(name.size());
  if (!consume('(')) {
    Expression made = make(Expression::Name, loc);
    made.text = name.str();
    return made;
  }
  if (!llvm::is_contained(getExpressionFunctions(), name))
    return fail(loc, "there is no function '" + name + "'; expected one of " +
                         llvm::join(getExpressionFunctions(), ", "));
  Expression made = make(Expression::Call, loc);
  made.text = name.str();
  size_t count = name == "rotate" ? 2 : 1;
  do {
    FailureOr<Expression> operand = parseSum();
    if (failed(operand))
      return failure();
    made.operands.push_back(std::move(*operand));
  } while (made.operands.size() < count && consume(','));
  if (made.operands.size() < count)
    return failHere("',' and the angles to rotate by");
  if (!consume(')'))
    return failHere("an operator (+, -, *) or ')'");
  return made;
}

FailureOr<Expression> mlir::wyvern::parseExpression(StringRef text,
                                                    const char *start,
                                                    int &leavesLeft,
                                                    ExpressionError &error) {
  return Parser(text, start, leavesLeft, error).parse();
}
