/* SPDX-License-Identifier: Apache-2.0 */
/* PNG by libpng's classic interface. Its simplified one applies gamma to pictures of 16 bits and
 * scrambles those that are interlaced as well (libpng issue 853). */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/decode.h"

bool nn_cmd_is_png(const unsigned char *bytes, size_t length)
{
    return length >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

#ifdef HAVE_PNG
#include <png.h>

#define MAX_CHUNK ((png_alloc_size_t)1 << 26) /* bytes of memory one chunk may take */

/* One file on its way through libpng, which leaves by longjmp on errors. What is allocated stands
 * here, not in variables that a jump may lose. */
typedef struct png_job {
    const unsigned char *at, *end;
    const char *name;
    png_structp png;
    png_infop info;
    nn_cmd_pixels image;
    png_bytep *rows;
    char message[128];
} png_job;

/* Memory of libpng, with its size before it: parts of a picture go through it, so it is wiped. */
typedef union png_block {
    size_t bytes;
    max_align_t content;
} png_block;

static png_voidp take_memory(png_structp png, png_alloc_size_t bytes)
{
    (void)png;
    if (bytes > SIZE_MAX - sizeof(png_block)) return NULL;
    png_block *block = malloc(sizeof *block + bytes);
    if (!block) return NULL;
    block->bytes = bytes;
    return block + 1;
}

static void give_memory(png_structp png, png_voidp memory)
{
    (void)png;
    if (!memory) return;
    png_block *block = (png_block *)memory - 1;
    ckks_wipe(memory, block->bytes);
    free(block);
}

static void take_bytes(png_structp png, png_bytep to, size_t count)
{
    png_job *job = png_get_io_ptr(png);
    if ((size_t)(job->end - job->at) < count) png_error(png, "the file is truncated");
    memcpy(to, job->at, count);
    job->at += count;
}

static void note_error(png_structp png, png_const_charp message)
{
    png_job *job = png_get_error_ptr(png);
    (void)snprintf(job->message, sizeof job->message, "%s", message);
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void ask_for_rgb(png_job *job)
{
    png_set_strip_16(job->png);
    png_set_palette_to_rgb(job->png);
    png_set_expand_gray_1_2_4_to_8(job->png);
    png_set_strip_alpha(job->png);
    png_set_gray_to_rgb(job->png);
    (void)png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
}

static void allocate_image(png_job *job)
{
    size_t width = png_get_image_width(job->png, job->info),
           height = png_get_image_height(job->png, job->info);
    if (width > NN_CMD_MAX_PIXELS / height) png_error(job->png, "too many pixels");
    ask_for_rgb(job);
    if (png_get_rowbytes(job->png, job->info) != 3 * width)
        png_error(job->png, "not to be had as red, green and blue");
    job->image = (nn_cmd_pixels){width, height, calloc(width * height, 3)};
    job->rows = malloc(height * sizeof *job->rows);
    if (!job->image.pixels || !job->rows) png_error(job->png, "out of memory");
    for (size_t y = 0; y < height; y++) job->rows[y] = job->image.pixels + 3 * width * y;
}

static bool read_all(png_job *job)
{
    if (setjmp(png_jmpbuf(job->png))) return false;
    png_set_read_fn(job->png, job, take_bytes);
    png_set_user_limits(job->png, NN_CMD_MAX_SIDE, NN_CMD_MAX_SIDE);
    png_set_chunk_malloc_max(job->png, MAX_CHUNK);
    png_read_info(job->png, job->info);
    allocate_image(job);
    png_read_image(job->png, job->rows);
    png_read_end(job->png, NULL);
    return true;
}

fhola_status nn_cmd_decode_png(nn_cmd_pixels *image, const unsigned char *bytes, size_t length,
                               const char *name)
{
    png_job job = {.at = bytes, .end = bytes + length, .name = name, .message = "out of memory"};
    job.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &job, note_error, ignore_warning,
                                       NULL, take_memory, give_memory);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    bool read = job.info && read_all(&job);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    free(job.rows);
    if (read) {
        *image = job.image;
        return FHOLA_OK;
    }
    nn_cmd_pixels_clear(&job.image);
    return fhola_fail(strcmp(job.message, "out of memory") == 0 ? FHOLA_NOMEM : FHOLA_FORMAT,
                      "%s: %s", name, job.message);
}
#else
fhola_status nn_cmd_decode_png(nn_cmd_pixels *image, const unsigned char *bytes, size_t length,
                               const char *name)
{
    (void)image;
    (void)bytes;
    (void)length;
    return fhola_fail(FHOLA_FORMAT, "%s: a PNG file, but this program was built without libpng",
                      name);
}
#endif
