//===- _rt_manifest.h - The C descriptor of a manifest ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_RT_MANIFEST_H
#define WYVERN_PYTHON_RT_MANIFEST_H

#include "wyvern-rt/wyvern_rt.h"

#include <pybind11/pybind11.h>

#include <deque>
#include <string>
#include <vector>

namespace wyvern {

/// Returns the dtype that manifests call `name`; throws ValueError for others.
wyvern_dtype dtypeOf(const std::string &name);

/// A program's descriptor, made from its parsed manifest (docs/abi.md), with
/// all that it points to.
class Manifest {
public:
  /// Throws ValueError, which names the key, where `object` lacks something or
  /// has another value than the runtime knows.
  explicit Manifest(const pybind11::dict &object);
  Manifest(const Manifest &) = delete;

  /// The descriptor; it lives as long as this object.
  const wyvern_program_desc &getDesc() const { return desc; }

private:
  const char *keep(std::string text);
  wyvern_tensor_desc readTensor(const pybind11::dict &object);
  wyvern_param_desc readParam(const pybind11::dict &object) const;
  wyvern_kernel_desc readKernel(const pybind11::dict &object);
  wyvern_variant_desc readVariant(const pybind11::dict &object);
  const wyvern_tensor_desc &describe(uint32_t index) const;
  uint32_t indexOf(const std::string &name) const;

  // Descriptors point to elements of these; a deque never moves them.
  std::deque<std::string> strings;
  std::deque<std::vector<wyvern_param_desc>> params;
  std::deque<std::vector<wyvern_tensor_desc>> workspaces;
  std::deque<std::vector<wyvern_kernel_desc>> kernels;
  std::vector<wyvern_tensor_desc> tensors;
  std::vector<wyvern_variant_desc> variants;
  wyvern_program_desc desc = {};
};

} // namespace wyvern

#endif // WYVERN_PYTHON_RT_MANIFEST_H
