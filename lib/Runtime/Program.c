/*===- Program.c - From descriptors to a program, and its end -------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The driver is given a pointer without a length and believes the offsets that
   it finds there, so a short file must not reach it. */
static wyvern_status check_image(const char *program,
                                 const wyvern_kernel_desc *kernel,
                                 const void *image, size_t size) {
  const char *what = kernel->image ? kernel->symbol : kernel->file;
  Elf64_Ehdr header;
  if (size < sizeof(header) || memcmp(image, ELFMAG, SELFMAG) != 0)
    return wyvern_fail(WYVERN_ERROR_BAD_IMAGE,
                       "%s: %s is no cubin (%zu bytes, no ELF header)", program,
                       what, size);
  memcpy(&header, image, sizeof(header));
  uint64_t sections = (uint64_t)header.e_shentsize * header.e_shnum;
  uint64_t segments = (uint64_t)header.e_phentsize * header.e_phnum;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shoff > size ||
      sections > size - header.e_shoff || header.e_phoff > size ||
      segments > size - header.e_phoff)
    return wyvern_fail(
        WYVERN_ERROR_BAD_IMAGE,
        "%s: %s is a damaged cubin: its %zu bytes end before its "
        "section table",
        program, what, size);
  return WYVERN_OK;
}

static wyvern_status read_file(const char *program, const char *path,
                               void **bytes, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return wyvern_fail(WYVERN_ERROR_FILE, "%s: cannot open %s", program, path);
  long length = -1;
  if (fseek(file, 0, SEEK_END) == 0)
    length = ftell(file);
  *bytes = length >= 0 ? malloc((size_t)length + 1) : NULL;
  rewind(file);
  int whole =
      *bytes && fread(*bytes, 1, (size_t)length, file) == (size_t)length;
  fclose(file);
  if (!whole)
    return wyvern_fail(WYVERN_ERROR_FILE, "%s: cannot read %s", program, path);
  *size = (size_t)length;
  return WYVERN_OK;
}

static wyvern_status load_image(const char *name,
                                const wyvern_kernel_desc *desc,
                                wyvern_kernel *kernel, const char *directory) {
  size_t size = desc->image_size;
  kernel->image = desc->image;
  if (!desc->image) {
    size_t length =
        strlen(desc->file) + (directory ? strlen(directory) : 1) + 2;
    char *path = malloc(length);
    if (!path)
      return wyvern_fail(WYVERN_ERROR_OUT_OF_MEMORY, "%s: out of memory", name);
    snprintf(path, length, "%s/%s", directory ? directory : ".", desc->file);
    wyvern_status status = read_file(name, path, &kernel->owned_image, &size);
    free(path);
    WYVERN_TRY(status);
    kernel->image = kernel->owned_image;
  }
  return check_image(name, desc, kernel->image, size);
}

static wyvern_status load_images(wyvern_program *program,
                                 const char *directory) {
  const wyvern_program_desc *desc = program->desc;
  for (uint32_t v = 0; v < desc->num_variants; ++v)
    for (uint32_t k = 0; k < desc->variants[v].num_kernels; ++k)
      WYVERN_TRY(load_image(desc->name, &desc->variants[v].kernels[k],
                            &program->kernels[v][k], directory));
  return WYVERN_OK;
}

wyvern_status wyvern_program_load(const wyvern_program_desc *desc,
                                  const char *directory,
                                  wyvern_program **program) {
  if (!desc || !program)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_program_load: null descriptor or program");
  *program = NULL;
  WYVERN_TRY(wyvern_check_desc(desc));
  wyvern_program *made = calloc(1, sizeof(*made));
  size_t cache = WYVERN_MAP_CACHE * sizeof(wyvern_map_entry);
  if (made)
    made->maps = aligned_alloc(_Alignof(wyvern_map_entry), cache);
  if (!made || !made->maps) {
    free(made);
    return wyvern_fail(WYVERN_ERROR_OUT_OF_MEMORY, "%s: out of memory",
                       desc->name);
  }
  memset(made->maps, 0, cache);
  pthread_mutex_init(&made->lock, NULL);
  pthread_mutex_init(&made->map_lock, NULL);
  made->desc = desc;
  made->forced = -1;
  made->graphs = wyvern_make_graphs();
  wyvern_find_layouts(made);
  wyvern_status status = load_images(made, directory);
  if (status == WYVERN_OK)
    *program = made;
  else
    wyvern_program_free(made);
  return status;
}

static void free_kernel(wyvern_kernel *kernel) {
  const wyvern_driver *driver;
  /* At process exit the driver may be gone: it then says so, harmlessly. */
  if (kernel->library && wyvern_driver_open(&driver) == WYVERN_OK)
    driver->LibraryUnload(kernel->library);
  free(kernel->owned_image);
}

void wyvern_program_free(wyvern_program *program) {
  if (!program)
    return;
  wyvern_free_graphs(program->graphs);
  const wyvern_program_desc *desc = program->desc;
  for (uint32_t v = 0; v < desc->num_variants; ++v)
    for (uint32_t k = 0; k < desc->variants[v].num_kernels; ++k)
      free_kernel(&program->kernels[v][k]);
  pthread_mutex_destroy(&program->lock);
  pthread_mutex_destroy(&program->map_lock);
  free(program->maps);
  free(program);
}
