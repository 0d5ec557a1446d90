//===- Emitter.cpp - Builds what a tile operation becomes ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// Constants and integer arithmetic
//===----------------------------------------------------------------------===//

Value Emitter::c32(int64_t value) {
  return LLVM::ConstantOp::create(builder, loc, i32(),
                                  builder.getI32IntegerAttr(value));
}
Value Emitter::c64(int64_t value) {
  return LLVM::ConstantOp::create(builder, loc, i64(),
                                  builder.getI64IntegerAttr(value));
}
Value Emitter::cf32(double value) {
  return LLVM::ConstantOp::create(builder, loc, f32(),
                                  builder.getF32FloatAttr(value));
}
Value Emitter::zero(Type type) {
  return LLVM::ZeroOp::create(builder, loc, type);
}

/// A constant of `like`'s integer type.
static Value constantLike(Emitter &e, Value like, int64_t value) {
  return like.getType().isInteger(32) ? e.c32(value) : e.c64(value);
}

Value Emitter::add(Value a, Value b) {
  return LLVM::AddOp::create(builder, loc, a, b);
}
Value Emitter::sub(Value a, Value b) {
  return LLVM::SubOp::create(builder, loc, a, b);
}
Value Emitter::mul(Value a, Value b) {
  return LLVM::MulOp::create(builder, loc, a, b);
}
Value Emitter::udiv(Value a, Value b) {
  return LLVM::UDivOp::create(builder, loc, a, b);
}
Value Emitter::urem(Value a, Value b) {
  return LLVM::URemOp::create(builder, loc, a, b);
}
Value Emitter::band(Value a, Value b) {
  return LLVM::AndOp::create(builder, loc, a, b);
}
Value Emitter::bxor(Value a, Value b) {
  return LLVM::XOrOp::create(builder, loc, a, b);
}
Value Emitter::add(Value a, int64_t b) {
  return b == 0 ? a : add(a, constantLike(*this, a, b));
}
Value Emitter::mul(Value a, int64_t b) {
  return b == 1 ? a : mul(a, constantLike(*this, a, b));
}
Value Emitter::udiv(Value a, int64_t b) {
  return b == 1 ? a : udiv(a, constantLike(*this, a, b));
}
Value Emitter::urem(Value a, int64_t b) {
  return urem(a, constantLike(*this, a, b));
}
Value Emitter::cmp(LLVM::ICmpPredicate predicate, Value a, Value b) {
  return LLVM::ICmpOp::create(builder, loc, predicate, a, b);
}
Value Emitter::select(Value cond, Value a, Value b) {
  return LLVM::SelectOp::create(builder, loc, cond, a, b);
}
Value Emitter::trunc32(Value value) {
  return value.getType().isInteger(32)
             ? value
             : LLVM::TruncOp::create(builder, loc, i32(), value).getResult();
}
Value Emitter::ext64(Value value) {
  return value.getType().isInteger(64)
             ? value
             : LLVM::ZExtOp::create(builder, loc, i64(), value).getResult();
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Value Emitter::threadId() {
  return NVVM::ThreadIdXOp::create(builder, loc, i32());
}
/// Returns the value called `name` at the start of `block`; `make` makes it
/// there for the first who asks.
static Value getAtStart(Emitter &e, Block &block, StringRef name,
                        function_ref<Value()> make) {
  for (Operation &op : block)
    if (op.hasAttr(name))
      return op.getResult(0);
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(&block);
  // A role begins with its registers.
  if (!block.empty() && isa<NVVM::SetMaxRegisterOp>(block.front()))
    e.builder.setInsertionPointAfter(&block.front());
  Value made = make();
  made.getDefiningOp()->setAttr(name, e.builder.getUnitAttr());
  return made;
}

/// Returns the first block of the kernel or, with `ofRole`, of the role that is
/// being emitted, if it is of one that has set its registers.
static Block &getFirstBlock(Emitter &e, bool ofRole) {
  Block *block = e.builder.getInsertionBlock();
  while (!isa<KernelOp, LLVM::LLVMFuncOp>(block->getParentOp())) {
    if (ofRole && isa<NVVM::SetMaxRegisterOp>(block->front()))
      return *block;
    block = block->getParentOp()->getBlock();
  }
  return block->getParent()->front();
}

Value Emitter::threadIdAgain() {
  // Each lane asks for its own number: ptxas does not see through it.
  Value kept = getAtStart(*this, getFirstBlock(*this, /*ofRole=*/true),
                          "wyvern.thread_number", [&] {
                            Value number = threadId();
                            return shuffle(number, band(number, c32(31)));
                          });
  return ptx("mov.u32 $0, $1;", "=r,r", kept, i32()).front();
}
/// True if the kernel around `builder` is marked so.
static bool isMarked(OpBuilder &builder, StringRef name) {
  Operation *kernel = builder.getInsertionBlock()->getParentOp();
  while (!isa<KernelOp, LLVM::LLVMFuncOp>(kernel))
    kernel = kernel->getParentOp();
  return kernel->hasAttr(name);
}
bool Emitter::hasFewRegisters() {
  return isMarked(builder, kFewRegistersAttr) || hasFewAddresses();
}
bool Emitter::hasFewAddresses() { return isMarked(builder, kFewAddressesAttr); }
Value Emitter::opaque(Value value) {
  if (!hasFewRegisters())
    return value;
  return ptx("mov.u32 $0, $1;", "=r,r", value, i32()).front();
}
Value Emitter::warpNumber() {
  // A shuffle from one lane makes it uniform for the compiler.
  return getAtStart(*this, getFirstBlock(*this, /*ofRole=*/false),
                    "wyvern.warp_number",
                    [&] { return shuffle(udiv(threadId(), 32), c32(0)); });
}
Value Emitter::laneId() { return band(threadId(), c32(31)); }
Value Emitter::warpgroupThread() { return band(threadId(), c32(127)); }
Value Emitter::warpInGroup() { return udiv(warpgroupThread(), 32); }

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value Emitter::element(Value vector, int64_t index) {
  return LLVM::ExtractElementOp::create(builder, loc, vector, c32(index));
}

Value Emitter::vectorOf(ArrayRef<Value> elements) {
  auto type = VectorType::get({static_cast<int64_t>(elements.size())},
                              elements.front().getType());
  Value vector = LLVM::PoisonOp::create(builder, loc, type);
  for (auto [i, value] : llvm::enumerate(elements))
    vector = LLVM::InsertElementOp::create(builder, loc, vector, value, c32(i));
  return vector;
}

SmallVector<Value> Emitter::elements(Value vector) {
  SmallVector<Value> values;
  for (int64_t i = 0, n = cast<VectorType>(vector.getType()).getDimSize(0);
       i < n; ++i)
    values.push_back(element(vector, i));
  return values;
}

Value Emitter::pack(Value low, Value high) {
  return LLVM::BitcastOp::create(builder, loc, i32(), vectorOf({low, high}));
}

std::pair<Value, Value> Emitter::unpack(Value packed, Type elementType) {
  Value pair = LLVM::BitcastOp::create(
      builder, loc, VectorType::get({2}, elementType), packed);
  return {element(pair, 0), element(pair, 1)};
}

//===----------------------------------------------------------------------===//
// Inline PTX
//===----------------------------------------------------------------------===//

SmallVector<Value> Emitter::ptx(StringRef text, StringRef constraints,
                                ValueRange operands, TypeRange results) {
  Type type;
  if (results.size() == 1)
    type = results.front();
  else if (results.size() > 1)
    type = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                            llvm::to_vector(results));
  auto call = LLVM::InlineAsmOp::create(
      builder, loc, type ? TypeRange(type) : TypeRange(), operands, text,
      constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
  if (!type)
    return {};
  if (results.size() == 1)
    return {call.getResult(0)};
  SmallVector<Value> values;
  for (int64_t i = 0, n = results.size(); i < n; ++i)
    values.push_back(
        LLVM::ExtractValueOp::create(builder, loc, call.getResult(0), i));
  return values;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// PTX type suffix and constraint letter of a value that fits a register.
static std::pair<StringRef, StringRef> registerClass(Type type) {
  if (type.isF32())
    return {"f32", "f"};
  if (type.isInteger(64))
    return {"b64", "l"};
  return {"b32", "r"};
}

Value Emitter::loadShared(Type type, Value address) {
  auto [suffix, letter] = registerClass(type);
  return ptx(("ld.shared." + suffix + " $0, [$1];").str(),
             ("=" + letter + ",r").str(), address, type)
      .front();
}

void Emitter::storeShared(Value value, Value address) {
  auto [suffix, letter] = registerClass(value.getType());
  ptx(("st.shared." + suffix + " [$0], $1;").str(), ("r," + letter).str(),
      {address, value}, {});
}

SmallVector<Value> Emitter::loadSharedVector(Type type, unsigned count,
                                             Value address, int64_t offset) {
  auto [suffix, letter] = registerClass(type);
  std::string registers, constraints;
  for (unsigned i = 0; i < count; ++i) {
    registers += (i ? ", $" : "$") + std::to_string(i);
    constraints += ("=" + letter + ",").str();
  }
  return ptx("ld.shared.v" + std::to_string(count) + "." + suffix.str() + " {" +
                 registers + "}, [$" + std::to_string(count) +
                 (offset ? "+" + std::to_string(offset) : "") + "];",
             constraints + "r", address, SmallVector<Type>(count, type));
}

void Emitter::storeSharedVector(ArrayRef<Value> values, Value address,
                                int64_t offset) {
  auto [suffix, letter] = registerClass(values.front().getType());
  std::string registers, constraints = "r";
  for (unsigned i = 0; i < values.size(); ++i) {
    registers += (i ? ", $" : "$") + std::to_string(i + 1);
    constraints += ("," + letter).str();
  }
  SmallVector<Value> operands = {address};
  operands.append(values.begin(), values.end());
  ptx("st.shared.v" + std::to_string(values.size()) + "." + suffix.str() +
          " [$0" + (offset ? "+" + std::to_string(offset) : "") + "], {" +
          registers + "};",
      constraints, operands, {});
}

Value Emitter::loadGlobal(Type type, Value pointer) {
  return LLVM::LoadOp::create(builder, loc, type, pointer);
}
void Emitter::storeGlobal(Value value, Value pointer) {
  LLVM::StoreOp::create(builder, loc, value, pointer);
}

/// One warp shuffle with all lanes (PTX ISA 9.7.9.6).
static Value shuffleOp(Emitter &e, Value value, Value lane, int64_t clamp,
                       NVVM::ShflKind kind) {
  return NVVM::ShflOp::create(e.builder, e.loc, value.getType(), e.c32(-1),
                              value, lane, e.c32(clamp), kind, UnitAttr());
}

Value Emitter::shuffle(Value value, Value lane) {
  return shuffleOp(*this, value, lane, 31, NVVM::ShflKind::idx);
}
Value Emitter::shuffleXor(Value value, int64_t mask) {
  return shuffleOp(*this, value, c32(mask), 31, NVVM::ShflKind::bfly);
}
Value Emitter::shuffleShift(Value value, int64_t distance, bool up) {
  return shuffleOp(*this, value, c32(distance), up ? 0 : 31,
                   up ? NVVM::ShflKind::up : NVVM::ShflKind::down);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void Emitter::ifThen(Value condition, function_ref<void()> body) {
  auto ifOp = scf::IfOp::create(builder, loc, condition, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  body();
}

Value Emitter::ifElse(Value condition, Type type, function_ref<Value()> then,
                      function_ref<Value()> otherwise) {
  auto ifOp =
      scf::IfOp::create(builder, loc, type, condition, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  scf::YieldOp::create(builder, loc, then());
  builder.setInsertionPointToStart(ifOp.elseBlock());
  scf::YieldOp::create(builder, loc, otherwise());
  return ifOp.getResult(0);
}

//===----------------------------------------------------------------------===//
// Globals
//===----------------------------------------------------------------------===//

Value tile::globalPointer(Emitter &e, Value global) {
  return LLVM::ExtractValueOp::create(e.builder, e.loc, global, 0);
}

Value tile::globalStride(Emitter &e, Value global, int64_t dim) {
  return LLVM::ExtractValueOp::create(e.builder, e.loc, global, dim + 1);
}

Value tile::offsetPointer(Emitter &e, Value pointer, Value elements,
                          Type element) {
  return LLVM::GEPOp::create(e.builder, e.loc, pointer.getType(), element,
                             pointer, ArrayRef<LLVM::GEPArg>{elements});
}

Value tile::globalAddress(Emitter &e, Value global, ValueRange coords,
                          Type element) {
  Value offset = e.c64(0);
  for (auto [dim, coord] : llvm::enumerate(coords))
    offset = e.add(offset, e.mul(coord, globalStride(e, global, dim)));
  return offsetPointer(e, globalPointer(e, global), offset, element);
}

/// Returns what `global`, a struct of arguments of the kernel, has as `field`.
static Value findField(Value global, int64_t field) {
  while (auto insert = global.getDefiningOp<LLVM::InsertValueOp>()) {
    if (insert.getPosition().front() == field)
      return insert.getValue();
    global = insert.getContainer();
  }
  return {};
}

Value tile::globalFieldAgain(Emitter &e, Value global, int64_t field,
                             Value varying) {
  auto arg = e.hasFewRegisters() && !e.hasFewAddresses()
                 ? dyn_cast_or_null<BlockArgument>(findField(global, field))
                 : BlockArgument();
  auto kernel = arg ? dyn_cast<LLVM::LLVMFuncOp>(arg.getOwner()->getParentOp())
                    : LLVM::LLVMFuncOp();
  if (!kernel)
    return LLVM::ExtractValueOp::create(e.builder, e.loc, global, field);
  // The address is a parameter's and zero, which is made of a number.
  std::string text =
      "{\n.reg .b64 at, zero;\nshr.u64 zero, $1, 63;\nmov.b64 at, " +
      kernel.getSymName().str() + "_param_" +
      std::to_string(arg.getArgNumber()) +
      ";\nadd.s64 at, at, zero;\nld.param.b64 $0, [at];\n}";
  return e.ptx(text, "=l,l", e.ext64(varying), arg.getType()).front();
}

/// True for the constant 0.
static bool isZero(Value value) { return matchPattern(value, m_Zero()); }

Value tile::globalAddressAgain(Emitter &e, Value global, ValueRange coords,
                               Type element, Value varying) {
  if (!e.hasFewRegisters() || e.hasFewAddresses())
    return globalAddress(e, global, coords, element);
  // Elements are counted: one shift, not one a stride.
  Value offset = e.c64(0);
  for (auto [dim, coord] : llvm::enumerate(coords)) {
    if (isZero(coord))
      continue;
    Value stride = globalFieldAgain(e, global, dim + 1, varying);
    offset = e.ptx("mad.lo.s64 $0, $1, $2, $3;", "=l,l,l,l",
                   {coord, stride, offset}, e.i64())
                 .front();
  }
  return offsetPointer(e, globalFieldAgain(e, global, 0, varying), offset,
                       element);
}

Value tile::isPresent(Emitter &e, Value pointer) {
  return e.cmp(LLVM::ICmpPredicate::ne, pointer, e.zero(pointer.getType()));
}
