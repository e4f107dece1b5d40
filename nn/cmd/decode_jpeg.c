/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG by libjpeg (libjpeg-turbo). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/decode.h"

bool nn_cmd_is_jpeg(const unsigned char *bytes, size_t length)
{
    return length >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

#ifdef HAVE_JPEG
#include <jerror.h>
#include <jpeglib.h>

/* A progressive file may ask for any number of passes over a large picture; encoders write about
 * ten. */
#define MAX_SCANS 100

/* One file on its way through libjpeg, which is made to leave by longjmp on errors. */
typedef struct jpeg_job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    fhola_status status;
    nn_cmd_pixels image;
    char message[JMSG_LENGTH_MAX];
} jpeg_job;

static void leave_with(jpeg_job *job, fhola_status status, const char *message)
{
    job->status = status;
    (void)snprintf(job->message, sizeof job->message, "%s", message);
    longjmp(job->leave, 1);
}

static void note_error(j_common_ptr jpeg)
{
    jpeg_job *job = jpeg->client_data;
    char message[JMSG_LENGTH_MAX];
    (*jpeg->err->format_message)(jpeg, message);
    leave_with(job, jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? FHOLA_NOMEM : FHOLA_FORMAT,
               message);
}

/* libjpeg fills what is missing with grey: that is another picture, not this one. */
static void note_warning(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    if (level >= 0) return;
    if (code == JWRN_JPEG_EOF) leave_with(jpeg->client_data, FHOLA_FORMAT, "the file is truncated");
    if (code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC)
        leave_with(jpeg->client_data, FHOLA_FORMAT, "the JPEG data is damaged");
}

static void limit_scans(j_common_ptr jpeg)
{
    if (((j_decompress_ptr)jpeg)->input_scan_number > MAX_SCANS)
        leave_with(jpeg->client_data, FHOLA_FORMAT, "a progressive JPEG with too many scans");
}

static void allocate_image(jpeg_job *job)
{
    size_t width = job->jpeg.output_width, height = job->jpeg.output_height;
    if (job->jpeg.output_components != 3)
        leave_with(job, FHOLA_FORMAT, "not to be had as red, green and blue");
    job->image = (nn_cmd_pixels){width, height, malloc(3 * width * height)};
    if (!job->image.pixels) leave_with(job, FHOLA_NOMEM, "no memory for its pixels");
}

static void read_header(jpeg_job *job)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    (void)jpeg_read_header(jpeg, TRUE);
    if (jpeg->image_width > NN_CMD_MAX_SIDE || jpeg->image_height > NN_CMD_MAX_SIDE ||
        jpeg->image_width > NN_CMD_MAX_PIXELS / jpeg->image_height)
        leave_with(job, FHOLA_FORMAT, "too many pixels");
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK)
        leave_with(job, FHOLA_FORMAT,
                   "a JPEG of inks (CMYK); convert it to red, green and blue first");
    jpeg->out_color_space = JCS_RGB;
}

static bool read_all(jpeg_job *job, const unsigned char *bytes, size_t length)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    if (setjmp(job->leave)) return false;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &job->progress;
    jpeg_mem_src(jpeg, bytes, length);
    read_header(job);
    (void)jpeg_start_decompress(jpeg);
    allocate_image(job);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = job->image.pixels + 3 * job->image.width * jpeg->output_scanline;
        (void)jpeg_read_scanlines(jpeg, &row, 1);
    }
    (void)jpeg_finish_decompress(jpeg);
    return true;
}

fhola_status nn_cmd_decode_jpeg(nn_cmd_pixels *image, const unsigned char *bytes, size_t length,
                                const char *name)
{
    jpeg_job job = {.progress = {.progress_monitor = limit_scans}};
    job.jpeg.err = jpeg_std_error(&job.errors);
    job.jpeg.client_data = &job;
    job.errors.error_exit = note_error;
    job.errors.emit_message = note_warning;
    bool read = read_all(&job, bytes, length);
    jpeg_destroy_decompress(&job.jpeg);
    if (read) {
        *image = job.image;
        return FHOLA_OK;
    }
    nn_cmd_pixels_clear(&job.image);
    return fhola_fail(job.status, "%s: %s", name, job.message);
}
#else
fhola_status nn_cmd_decode_jpeg(nn_cmd_pixels *image, const unsigned char *bytes, size_t length,
                                const char *name)
{
    (void)image;
    (void)bytes;
    (void)length;
    return fhola_fail(FHOLA_FORMAT, "%s: a JPEG file, but this program was built without libjpeg",
                      name);
}
#endif
