//===- LayerSpec.h - What a layer computes ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The plain data behind a spec file: one recurrence, its sizes and its steps.
// Every reader (YAML, config.json) produces it; everything after reads only it.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SPEC_LAYERSPEC_H
#define WYVERN_SPEC_LAYERSPEC_H

#include "wyvern/Spec/Expression.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SMLoc.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>
#include <vector>

namespace mlir::wyvern {

enum class ElementKind { BF16, F16, F32, F64 };
enum class DecayKind { None, Head, Channel };
enum class LevelKind { None, Log };

llvm::StringRef stringify(ElementKind kind);
llvm::StringRef stringify(DecayKind kind);
llvm::StringRef stringify(LevelKind kind);

/// A name in the spec, with the place that said so (null if no file did; valid
/// while the SourceMgr that was read from lives).
struct SpecName {
  std::string text;
  llvm::SMLoc loc;
};

/// An elementwise product of named tensors, e.g. `b * k`; empty if absent.
struct SpecProduct {
  std::vector<SpecName> factors;

  bool isAbsent() const { return factors.empty(); }
  std::string str() const;
};

/// One step S <- S + x (y - b e^T S*): x `write`, e `erase`, y = b v (`value`)
/// or y (`written`), b `rate` or `constantRate`.
struct StepSpec {
  SpecProduct write, erase, value, written;
  SpecProduct rate; ///< At most one name.
  double constantRate = 1.0;
  std::optional<double> maxRate; ///< What b may reach, if the spec says so.
  int64_t repeat = 1;
  bool readsBeforeDecay = false;
  llvm::SMLoc loc;
};

/// One layer; as read, all defaults are filled in.
struct LayerSpec {
  std::string name;
  int64_t keyHeads = 0, valueHeads = 0;
  int64_t keyDim = 0, valueDim = 0;
  ElementKind dtype = ElementKind::BF16;
  DecayKind decay = DecayKind::None;
  double scale = 1.0;
  std::vector<StepSpec> steps;
  /// Log: a state for each level of a Fenwick tree over the tokens, of which
  /// there are at most `maxTokens`.
  LevelKind levels = LevelKind::None;
  int64_t maxTokens = 0;
  llvm::SMLoc levelsLoc;
  /// True if sequences may go on from where others ended, in a layer that needs
  /// more for it than a state: levels, running sums.
  bool resumes = false;
  /// What stands in front of the recurrence, in order, and what its arguments
  /// are where that does not follow from what is made of them.
  std::vector<Definition> definitions;
  std::vector<DeclaredName> declared;
  /// What the layer computes of its operands: norm, gates (delta-form-wy).
  std::vector<std::string> prologue;
  /// What log decays are at least, if gates are made with a bound.
  std::optional<double> lowerBound;
  /// The variants that a bundle holds, by name; empty for what the compiler
  /// chooses. Part of how the layer is compiled, not of what it computes.
  std::vector<std::string> variants;
  llvm::SMLoc variantsLoc;

  /// The layers of the model that have this spec, from 0; empty if the spec
  /// does not come from a model.
  std::vector<int64_t> modelLayers;
  llvm::SMLoc loc;

  /// Returns what `name` is where the recurrence reads it; null for an
  /// argument.
  const Definition *findDefinition(llvm::StringRef name) const;
  /// Returns what the spec says of the argument `name`; null for nothing.
  const DeclaredName *findDeclared(llvm::StringRef name) const;

  /// The running sums among the definitions, by number.
  llvm::SmallVector<int> getRunningSums() const;
  /// True if calls take and give states.
  bool hasStates() const {
    return resumes || (levels == LevelKind::None && getRunningSums().empty());
  }

  /// The states of a value head: one, or one a level.
  int64_t getNumStates() const {
    return levels == LevelKind::None ? 1 : 1 + llvm::Log2_64_Ceil(maxTokens);
  }
};

/// What an operand of the entry function is; fixes its shape and element type.
enum class OperandRole {
  Query,            ///< [B, T, H, K] in the spec's dtype
  HeadDecay,        ///< [B, T, HV], log, f32 (f64 for f64)
  ChannelDecay,     ///< [B, T, HV, K], log, f32 (f64 for f64)
  Key,              ///< [B, T * n, H, K] in the spec's dtype
  Value,            ///< [B, T * n, HV, V] in the spec's dtype
  Rate,             ///< [B, T * n, HV], f32 (f64 for f64)
  RawHead,          ///< [B, T * n, HV] in the spec's dtype, of an expression
  RawChannel,       ///< [B, T * n, HV, K] in the spec's dtype, of an expression
  HeadParameter,    ///< [HV], f32 (f64 for f64), as those below
  KeyParameter,     ///< [H, K]
  ValueParameter,   ///< [HV, V]
  ChannelParameter, ///< [HV, K]
  AngleParameter,   ///< [H, K / 2]
  Angle,            ///< [B, T * n, H, K / 2], f32 (f64 for f64)
  InitialAngles,    ///< [N, H, K / 2], f32 (f64 for f64)
  Positions,        ///< [N], f32 (f64 for f64)
  LevelScales,      ///< [B, T, HV * levels], f32 (f64 for f64)
  InitialState,     ///< [N, HV * levels, K, V], f32 (f64 for f64)
  CuSeqlens         ///< [N + 1] i64, or [0]: not packed
};

struct SpecOperand {
  std::string name;
  OperandRole role;
  int64_t repeat = 1;   ///< Rows a token.
  llvm::SMLoc loc = {}; ///< Where it is first named; of the spec if it is not.
};

/// Returns what a row of an operand is.
RowKind getRowKind(OperandRole role);

/// Returns what `name`, which stands for a row of `kind`, is in an expression
/// of `repeat` rows a token: an argument, or the running sum number @n.
SpecOperand getArgument(const LayerSpec &spec, const Expression &name,
                        RowKind kind, int64_t repeat);

/// Returns the argument that running sum `number` is of.
SpecOperand getSummed(const LayerSpec &spec, int number);

/// Calls `handle` with each name that `value`, a row of `kind`, reads of what a
/// map is given: arguments and running sums. Through what was computed before
/// it, and in the order of their places; with the kind that it has there.
void forEachName(const LayerSpec &spec, const Expression &value, RowKind kind,
                 llvm::function_ref<void(const Expression &, RowKind)> handle);

/// The operands of the entry function in order: q, the decay g, those of the
/// steps in order of first appearance, then initial_state, or level_scales in a
/// layer with levels, and cu_seqlens.
llvm::SmallVector<SpecOperand> getOperands(const LayerSpec &spec);

/// Prints `spec` as a YAML spec with every default written out; reading it back
/// gives the same spec.
void printSpec(const LayerSpec &spec, llvm::raw_ostream &os);

/// The same as JSON, for manifests.
llvm::json::Object toJSON(const LayerSpec &spec);

} // namespace mlir::wyvern

#endif // WYVERN_SPEC_LAYERSPEC_H
