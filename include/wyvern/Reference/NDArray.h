//===- NDArray.h - Arrays of float64 and their .npy files -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_REFERENCE_NDARRAY_H
#define WYVERN_REFERENCE_NDARRAY_H

#include <cstdint>
#include <string>
#include <vector>

namespace mlir::wyvern::reference {

/// A dense row-major array. Integers (cu_seqlens) are held as doubles, exact up
/// to 2^53.
struct NDArray {
  std::vector<int64_t> shape;
  std::vector<double> data;

  NDArray() = default;
  /// Zeros.
  explicit NDArray(std::vector<int64_t> shape);
  NDArray(std::vector<int64_t> shape, std::vector<double> data);

  int64_t getRank() const { return static_cast<int64_t>(shape.size()); }
  int64_t getNumElements() const;
  /// Where row [i, j, k] of an array of rank 3 or 4 begins.
  const double *row(int64_t i, int64_t j, int64_t k) const;
  double *row(int64_t i, int64_t j, int64_t k);
};

/// Reads a little-endian, C-ordered .npy file of float32, float64, int32 or
/// int64. False with a message in `error` if it cannot.
[[nodiscard]] bool readNPY(const std::string &path, NDArray &array,
                           std::string &error);

/// Writes a float64 .npy file; the file is whole or absent.
[[nodiscard]] bool writeNPY(const std::string &path, const NDArray &array,
                            std::string &error);

} // namespace mlir::wyvern::reference

#endif // WYVERN_REFERENCE_NDARRAY_H
