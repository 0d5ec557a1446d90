//===- TileTarget.cpp - The architecture of a module --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "wyvern/Support/Spelling.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// #tile.target
//===----------------------------------------------------------------------===//

Attribute TargetAttr::parse(AsmParser &parser, Type) {
  StringRef arch;
  SmallVector<NamedAttribute> numbers;
  SMLoc loc = parser.getCurrentLocation();
  auto parseNumber = [&]() -> ParseResult {
    StringRef name;
    int64_t value;
    if (parser.parseKeyword(&name) || parser.parseEqual() ||
        parser.parseInteger(value))
      return failure();
    numbers.emplace_back(parser.getBuilder().getStringAttr(name),
                         parser.getBuilder().getI64IntegerAttr(value));
    return success();
  };
  if (parser.parseLess() || parser.parseKeyword(&arch))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      parser.parseCommaSeparatedList(parseNumber))
    return {};
  if (parser.parseGreater())
    return {};
  if (auto twice = DictionaryAttr::findDuplicate(numbers, /*isSorted=*/false)) {
    parser.emitError(loc) << "expected each number once, found "
                          << twice->getName() << " twice";
    return {};
  }
  return parser.getChecked<TargetAttr>(
      loc, parser.getContext(), arch,
      DictionaryAttr::get(parser.getContext(), numbers));
}

void TargetAttr::print(AsmPrinter &printer) const {
  printer << '<' << getArch();
  for (NamedAttribute number : getNumbers())
    printer << ", " << number.getName().getValue() << " = "
            << cast<IntegerAttr>(number.getValue()).getInt();
  printer << '>';
}

/// Returns the number of this name, or null.
static const TargetNumber *findNumber(StringRef name) {
  const auto *it =
      llvm::find_if(getTargetNumbers(), [&](const TargetNumber &number) {
        return number.name == name;
      });
  return it == getTargetNumbers().end() ? nullptr : it;
}

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef arch, DictionaryAttr numbers) {
  if (!findTarget(arch))
    return emitError() << "(C1) expected an architecture that there is code "
                          "for ("
                       << listTargets() << "), found " << arch;
  for (NamedAttribute number : numbers) {
    StringRef name = number.getName();
    auto value = dyn_cast<IntegerAttr>(number.getValue());
    if (!findNumber(name)) {
      SmallVector<StringRef> names = llvm::map_to_vector(
          getTargetNumbers(),
          [](const TargetNumber &known) { return known.name; });
      return emitError() << "(C2) expected numbers that an architecture has, "
                            "found "
                         << name << didYouMean(name, names);
    }
    if (!value || value.getInt() < 1)
      return emitError() << "(C3) expected " << name << " of at least 1, found "
                         << number.getValue();
  }
  return success();
}

TargetInfo TargetAttr::getInfo() const {
  TargetInfo info = *findTarget(getArch());
  for (NamedAttribute number : getNumbers())
    info.*findNumber(number.getName())->member =
        cast<IntegerAttr>(number.getValue()).getInt();
  return info;
}

//===----------------------------------------------------------------------===//
// The attribute of a module
//===----------------------------------------------------------------------===//

TargetInfo tile::getTarget(Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto target = op->getAttrOfType<TargetAttr>(kTargetAttr))
      return target.getInfo();
  return getTargets().front();
}

LogicalResult TileDialect::verifyOperationAttribute(Operation *op,
                                                    NamedAttribute attribute) {
  if (attribute.getName() != kTargetAttr ||
      (isa<ModuleOp>(op) && isa<TargetAttr>(attribute.getValue())))
    return success();
  return op->emitError() << "(C4) expected " << kTargetAttr
                         << " to be a #tile.target of a module, found "
                         << attribute.getValue() << " of " << op->getName();
}
