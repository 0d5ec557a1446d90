//===- NewArguments.cpp - Arguments that a pass gives a function ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NewArguments.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"

using namespace mlir;
using namespace mlir::wyvern;

Value delta::addLastArgument(func::FuncOp func, StringRef name, Type type,
                             Location loc) {
  Builder b(func.getContext());
  auto attrs =
      b.getDictionaryAttr(b.getNamedAttr(kNameAttr, b.getStringAttr(name)));
  LogicalResult inserted =
      func.insertArgument(func.getNumArguments(), type, attrs, loc);
  assert(succeeded(inserted) && "a function can take another argument");
  (void)inserted;
  return func.getArguments().back();
}

LogicalResult delta::checkNewNames(Operation *op, func::FuncOp func,
                                   ArrayRef<std::string> names, StringRef whose,
                                   ArrayRef<Value> replaced) {
  for (unsigned i = 0; i < func.getNumArguments(); ++i) {
    auto name = func.getArgAttrOfType<StringAttr>(i, kNameAttr);
    if (name && !llvm::is_contained(replaced, func.getArgument(i)) &&
        llvm::is_contained(names, name.getValue()))
      return op->emitOpError()
             << "has an operand '" << name.getValue() << "', which is what "
             << whose << " calls one of its own; use another name";
  }
  return success();
}
