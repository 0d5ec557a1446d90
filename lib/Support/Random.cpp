//===- Random.cpp - Random numbers of the operating system ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// glibc has arc4random since 2.36, and Debian's LLVM calls it for the names of
// temporary files. With ours, what is linked with LLVM's archives runs on
// glibc 2.34: RHEL 9, Ubuntu 22.04.
//
//===----------------------------------------------------------------------===//

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <sys/random.h>

extern "C" uint32_t arc4random() noexcept {
  uint32_t number = 0;
  // A request of a few bytes is answered whole, or interrupted.
  while (getrandom(&number, sizeof(number), 0) != sizeof(number))
    if (errno != EINTR)
      abort();
  return number;
}
