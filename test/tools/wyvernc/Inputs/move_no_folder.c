/*===- move_no_folder.c - A file system of layers -------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

/* For LD_PRELOAD: rename fails as for a folder of a lower layer of overlayfs,
   unless what is renamed has just been written. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int rename(const char *from, const char *to) {
  if (!strstr(from, ".tmp-")) {
    fprintf(stderr, "moves no %s\n", strrchr(from, '/'));
    errno = EXDEV;
    return -1;
  }
  return (int)syscall(SYS_rename, from, to);
}
