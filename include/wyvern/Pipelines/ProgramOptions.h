//===- ProgramOptions.h - What is compiled of a layer -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// wyvernc and compiled programs of the CPU make the same programs of a layer,
// and are told in the same words which: PipelineOptions::set gives them on.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PIPELINES_PROGRAMOPTIONS_H
#define WYVERN_PIPELINES_PROGRAMOPTIONS_H

#include <cstdint>
#include <string>
#include <vector>

namespace mlir::wyvern {

struct ProgramOptions {
  /// Derive the backward too.
  bool training = false;
  /// What the forward saves for it: factor, checkpoints, states or none; or
  /// auto, for states where these take at most `saveBytes` of a row and value
  /// head, which is enough for 128 x 128 (1032) and 96 x 192 (1224), else
  /// factor.
  std::string save = "auto";
  /// What is made for serving, on a pool of states: step (of decoding,
  /// delta-form-step), prefill or prefill-keep (of prompts, delta-pool-states);
  /// empty for the layer itself.
  std::string serving = {};
  /// Of the pool: vk or kv; f32 or bf16; of slot numbers: i32 or i64.
  std::string stateLayout = "vk", stateType = "f32", slotType = "i32";
  /// Slots below are none: padding.
  int64_t firstSlot = 0;
  /// Of a pool of bf16: nearest or stochastic.
  std::string stateRounding = "nearest";
  /// What is computed of operands: norm, gates.
  std::vector<std::string> prologue = {};
  /// What a step computes of its output: norm, gate.
  std::vector<std::string> epilogue = {};
  /// Added to the mean of squares in the epilogue's norm.
  double normEpsilon = 1e-6;
  /// What states may take with `save` auto, in bytes of a row and value head;
  /// 0 for any.
  int64_t saveBytes = 1331;

  bool isStep() const { return serving == "step"; }
};

} // namespace mlir::wyvern

#endif // WYVERN_PIPELINES_PROGRAMOPTIONS_H
