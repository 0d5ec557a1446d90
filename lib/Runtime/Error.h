/*===- Error.h - This thread's last error -------------------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_RUNTIME_ERROR_H
#define WYVERN_RUNTIME_ERROR_H

#include "wyvern-rt/wyvern_rt.h"

#include <stdarg.h>

/* Keeps the message for wyvern_last_error() and gives the status back, so that
   a failure is one return statement. */
wyvern_status wyvern_fail(wyvern_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define WYVERN_TRY(call)                                                       \
  do {                                                                         \
    wyvern_status wyvern_try_status = (call);                                  \
    if (wyvern_try_status != WYVERN_OK)                                        \
      return wyvern_try_status;                                                \
  } while (0)

#endif
