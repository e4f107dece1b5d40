/* SPDX-License-Identifier: Apache-2.0 */
/* Records, the labelled pictures of calibration and test data, and the formats of files they come
 * in. Internal to the program. */
#ifndef NN_CMD_DATA_H
#define NN_CMD_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/nn.h"
#include "status.h"

/* ---- arrays of numbers ---- */

#define NN_CMD_MAX_RANK 6u

/* What a .npy or an IDX file holds; numbers lie in row order, little endian. */
typedef struct nn_cmd_array {
    const char *name;            /* for messages */
    char kind;                   /* 'u', 'i' or 'f': unsigned, signed, floating point */
    unsigned size;               /* bytes of a number: 1, 2, 4 or 8 */
    size_t rank;                 /* 0: one number */
    size_t dim[NN_CMD_MAX_RANK]; /* usually dim[0] records */
    size_t count;                /* numbers, the product of all */
    const unsigned char *values; /* among the bytes of the file */
} nn_cmd_array;

/* By their first bytes. */
bool nn_cmd_is_npy(const unsigned char *bytes, size_t length);
bool nn_cmd_begins_idx(const unsigned char *bytes, size_t length);
/* The length fits as well: a CIFAR record may begin like an IDX file. */
bool nn_cmd_is_idx(const unsigned char *bytes, size_t length);
/* What nn_cmd_decode_array takes, or refuses by its name. */
bool nn_cmd_is_array(const unsigned char *bytes, size_t length);

/* A .npy file of format 1, 2 or 3. FHOLA_FORMAT: none, damaged, of another length than its header
 * says, big endian, in column order, or of anything but numbers. `name` must live as long as the
 * array. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_decode_npy(nn_cmd_array *array, const unsigned char *bytes,
                                                 size_t length, const char *name);
/* An IDX file (the format of MNIST) of unsigned bytes. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_decode_idx(nn_cmd_array *array, const unsigned char *bytes,
                                                 size_t length, const char *name);
/* Whichever it is. FHOLA_FORMAT also: neither, or compressed by gzip or zip. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_decode_array(nn_cmd_array *array, const unsigned char *bytes,
                                                   size_t length, const char *name);

/* Number `index` as floating point. */
double nn_cmd_array_get(const nn_cmd_array *array, size_t index);

/* `count` (at least 1) records from `first` on, which there must be, for a network that takes the
 * shape. Where they have channels last, or which dimensions they have, is told by the shape: those
 * of pictures must be its own, in one order or the other (without the 1 of grey), while values that
 * are no picture come in any, row by row. Bytes are divided by 255, floating point is from 0 to 1.
 * labels NULL: all 0. FHOLA_PARAM: records of another shape, or of two; FHOLA_RANGE: a value
 * outside [0, 1]; FHOLA_FORMAT: other numbers. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_array_batch(nn_batch **batch, const nn_cmd_array *array,
                                                  nn_shape shape, size_t first, size_t count,
                                                  const unsigned *labels);

/* ---- folders ---- */

/* Files of a folder with a folder for each class: in turn one of each class, each class in the
 * order of its files' names. */
typedef struct nn_cmd_folder {
    char **path;
    unsigned *label;
    size_t count;
} nn_cmd_folder;

/* Labels are the classes of `model` that the folders are called; where the classes have no names,
 * folders are numbered in the order of theirs. NULL: labels do not matter. Names that begin with a
 * dot are passed by. FHOLA_FORMAT: no folders in it, or one that is no class. To be cleared. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_folder_list(nn_cmd_folder *folder, const char *path,
                                                  const nn_model *model);
void nn_cmd_folder_clear(nn_cmd_folder *folder);
bool nn_cmd_is_folder(const char *path);

/* ---- pictures ---- */

size_t nn_cmd_values(nn_shape shape);

#define NN_CMD_MAX_PICTURE ((size_t)1 << 28) /* bytes of a file */

/* A file that is one picture, PNG, JPEG or PPM, resampled to the shape. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_decode_picture(double *values, nn_shape shape,
                                                     const unsigned char *bytes, size_t length,
                                                     const char *name);

/* Whether a file that is no picture is one of many. */
bool nn_cmd_is_records(const unsigned char *bytes, size_t length);

/* Record `index` of a file or folder of records, without its label. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_read_record(double *values, nn_shape shape, const char *path,
                                                  double index);

#endif
