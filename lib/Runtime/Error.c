/*===- Error.c - This thread's last error ---------------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Error.h"

#include <stdio.h>

static _Thread_local char last_error[1024];

wyvern_status wyvern_fail(wyvern_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof(last_error), format, arguments);
  va_end(arguments);
  return status;
}

const char *wyvern_last_error(void) { return last_error; }

uint32_t wyvern_abi_version(void) { return WYVERN_ABI_VERSION; }

const char *wyvern_status_name(wyvern_status status) {
  switch (status) {
  case WYVERN_OK:
    return "WYVERN_OK";
  case WYVERN_ERROR_INVALID_DESCRIPTOR:
    return "WYVERN_ERROR_INVALID_DESCRIPTOR";
  case WYVERN_ERROR_INVALID_ARGUMENT:
    return "WYVERN_ERROR_INVALID_ARGUMENT";
  case WYVERN_ERROR_INVALID_TENSOR:
    return "WYVERN_ERROR_INVALID_TENSOR";
  case WYVERN_ERROR_WORKSPACE:
    return "WYVERN_ERROR_WORKSPACE";
  case WYVERN_ERROR_FILE:
    return "WYVERN_ERROR_FILE";
  case WYVERN_ERROR_NO_DRIVER:
    return "WYVERN_ERROR_NO_DRIVER";
  case WYVERN_ERROR_NO_DEVICE:
    return "WYVERN_ERROR_NO_DEVICE";
  case WYVERN_ERROR_WRONG_ARCH:
    return "WYVERN_ERROR_WRONG_ARCH";
  case WYVERN_ERROR_BAD_IMAGE:
    return "WYVERN_ERROR_BAD_IMAGE";
  case WYVERN_ERROR_DRIVER:
    return "WYVERN_ERROR_DRIVER";
  case WYVERN_ERROR_OUT_OF_MEMORY:
    return "WYVERN_ERROR_OUT_OF_MEMORY";
  }
  return "unknown wyvern_status";
}
