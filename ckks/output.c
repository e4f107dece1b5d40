/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_TMPFILE, O_PATH, where there are any */
#include "ckks/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 40    /* followed from a name to a place */
#define KEPT_NAME 200   /* bytes of a place's name that its temporary name keeps */
#define ATTEMPTS  1000u /* at a temporary name */

static fhola_status failed(const ckks_output *o)
{
    return fhola_fail(errno == ENOMEM ? FHOLA_NOMEM : FHOLA_IO, "%s: %s", o->name, strerror(errno));
}

/* ---- where it goes ---- */

static char *copy_bytes(const char *string, size_t length)
{
    char *copy = malloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, string, length);
    copy[length] = 0;
    return copy;
}

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* What the symbolic link `path` leads to; NULL: it is none, or errno is ENOMEM. */
static char *follow(const char *path)
{
    char to[PATH_MAX];
    errno = 0;
    ssize_t length = readlink(path, to, sizeof to);
    if (length <= 0 || length == (ssize_t)sizeof to) return NULL;
    size_t folder = to[0] == '/' ? 0 : folder_length(path);
    char *next = malloc(folder + (size_t)length + 1);
    if (!next) return NULL;
    memcpy(next, path, folder);
    memcpy(next + folder, to, (size_t)length);
    next[folder + (size_t)length] = 0;
    return next;
}

/* The path behind all symbolic links, whether there is a file or not yet; NULL with errno. */
static char *final_path(const char *path)
{
    char *at = copy_bytes(path, strlen(path));
    for (unsigned links = 0; at; links++) {
        char *next = follow(at);
        if (!next && errno != ENOMEM) return at;
        free(at);
        at = next;
        if (links < MAX_LINKS) continue;
        free(at);
        errno = ELOOP;
        return NULL;
    }
    errno = ENOMEM;
    return NULL;
}

static int open_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
#ifdef O_PATH
    if (folder < 0 && errno == EACCES) folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
#endif
    return folder;
}

/* Splits the path behind `path` into folder and place. */
static fhola_status find_place(ckks_output *o, const char *path)
{
    char *final = final_path(path);
    if (!final) return failed(o);
    size_t length = folder_length(final);
    char *folder = length ? copy_bytes(final, length) : copy_bytes(".", 1);
    o->place = copy_bytes(final + length, strlen(final + length));
    errno = ENOMEM;
    if (folder && o->place) o->folder = open_folder(folder);
    free(folder);
    free(final);
    if (o->folder >= 0 && !*o->place) {
        errno = EISDIR;
        return failed(o);
    }
    return o->folder < 0 ? failed(o) : FHOLA_OK;
}

/* Where the file system has no such locks, there is none; EBADF: nor for a folder that cannot be
 * read. */
static fhola_status lock(const ckks_output *o)
{
    if (!(o->flags & CKKS_OUTPUT_LOCK) || flock(o->folder, LOCK_EX | LOCK_NB) == 0 ||
        errno != EWOULDBLOCK)
        return FHOLA_OK;
    return fhola_fail(FHOLA_IO, "%s: another process is making keys in this folder", o->name);
}

static int is_there(const ckks_output *o, struct stat *info)
{
    return fstatat(o->folder, o->place, info, AT_SYMLINK_NOFOLLOW) == 0;
}

static fhola_status exists(const ckks_output *o)
{
    return fhola_fail(FHOLA_PARAM, "%s exists", o->name);
}

/* ---- what is written ---- */

/* An open file without a name, which can be given one: -1 where the system has none. */
static int open_unnamed(const ckks_output *o, mode_t mode)
{
#ifdef O_TMPFILE
    char proc[40];
    int descriptor = openat(o->folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", descriptor);
    if (descriptor < 0 || access(proc, F_OK) == 0) return descriptor;
    (void)close(descriptor);
#else
    (void)o;
    (void)mode;
#endif
    return -1;
}

/* Gives the file without a name the name `to`; -1 with errno. */
static int link_unnamed(const ckks_output *o, const char *to)
{
    char proc[40];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", o->descriptor);
    return linkat(AT_FDCWD, proc, o->folder, to, AT_SYMLINK_FOLLOW);
}

static void next_name(char name[256], const ckks_output *o, unsigned attempt)
{
    snprintf(name, 256, "%.*s.%ld-%u.tmp", KEPT_NAME, o->place, (long)getpid(), attempt);
}

/* Calls `make` with temporary names until one is free. 0, or -1 with errno and no name. */
static int take_name(ckks_output *o, int (*make)(ckks_output *o))
{
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        next_name(o->temporary, o, attempt);
        if (make(o) == 0) return 0;
        if (errno != EEXIST) break;
    }
    o->temporary[0] = 0;
    return -1;
}

static mode_t mode_of(const ckks_output *o)
{
    return o->flags & CKKS_OUTPUT_OWNER_ONLY ? 0600 : 0666;
}

static int make_named(ckks_output *o)
{
    o->descriptor =
        openat(o->folder, o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_of(o));
    return o->descriptor < 0 ? -1 : 0;
}

static int make_link(ckks_output *o)
{
    return link_unnamed(o, o->temporary);
}

/* A second name for what is in the place. */
static int make_second(ckks_output *o)
{
    return linkat(o->folder, o->place, o->folder, o->temporary, 0);
}

/* Standard input, output and error keep their numbers, even closed ones: what a program prints must
 * not get into a file. */
static int above_standard(int descriptor)
{
    if (descriptor < 0 || descriptor > 2) return descriptor;
    int higher = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    (void)close(descriptor);
    return higher;
}

static fhola_status open_output(ckks_output *o, const char *path)
{
    struct stat info;
    int there = stat(path, &info) == 0;
    if (there && !S_ISREG(info.st_mode)) {
        if (S_ISDIR(info.st_mode))
            errno = EISDIR;
        else
            o->descriptor = above_standard(open(path, O_WRONLY | O_CLOEXEC));
        return o->descriptor < 0 ? failed(o) : FHOLA_OK;
    }
    fhola_status status = find_place(o, path);
    if (status == FHOLA_OK) status = lock(o);
    if (status != FHOLA_OK) return status;
    if (o->flags & CKKS_OUTPUT_NEW && is_there(o, &info)) return exists(o);
    if (!(o->flags & CKKS_OUTPUT_NAMED)) o->descriptor = open_unnamed(o, mode_of(o));
    if (o->descriptor < 0 && take_name(o, make_named) != 0) return failed(o);
    o->descriptor = above_standard(o->descriptor);
    return o->descriptor < 0 ? failed(o) : FHOLA_OK;
}

fhola_status ckks_output_open(ckks_output *o, const char *path, unsigned flags)
{
    *o = (ckks_output){.descriptor = -1, .folder = -1, .flags = flags};
    o->name = copy_bytes(path, strlen(path));
    if (!o->name) return fhola_fail(FHOLA_NOMEM, "%s: no memory for a file name", path);
    fhola_status status = open_output(o, path);
    if (status != FHOLA_OK) ckks_output_clear(o);
    return status;
}

size_t ckks_output_write(const ckks_output *o, const void *bytes, size_t length)
{
    size_t done = 0;
    errno = 0;
    while (done < length) {
        ssize_t written = write(o->descriptor, (const char *)bytes + done, length - done);
        if (written <= 0) break; /* a signal, too, ends a write that waits for a reader */
        done += (size_t)written;
    }
    return done;
}

/* ---- commit ---- */

/* For file systems without hard links: an empty file takes the place, which nobody else can do
 * then. */
static int claim_and_rename(ckks_output *o)
{
    int claim = openat(o->folder, o->place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (claim < 0) return -1;
    (void)close(claim);
    if (renameat(o->folder, o->temporary, o->folder, o->place) == 0) return 0;
    int error = errno;
    (void)unlinkat(o->folder, o->place, 0);
    errno = error;
    return -1;
}

/* -1 with errno EEXIST if a file is there. */
static int place_new(ckks_output *o)
{
    if (!o->temporary[0]) return link_unnamed(o, o->place);
    int result = linkat(o->folder, o->temporary, o->folder, o->place, 0);
    if (result != 0 && errno != EEXIST && errno != ENOSPC) {
        result = claim_and_rename(o);
        if (result == 0) o->temporary[0] = 0;
    }
    return result;
}

static int place_over(ckks_output *o)
{
    if (!o->temporary[0] && take_name(o, make_link) != 0) return -1;
    int result = renameat(o->folder, o->temporary, o->folder, o->place);
    if (result == 0) o->temporary[0] = 0;
    return result;
}

static void drop_temporary(ckks_output *o)
{
    if (o->temporary[0]) (void)unlinkat(o->folder, o->temporary, 0);
    o->temporary[0] = 0;
}

static fhola_status make_durable(const ckks_output *o)
{
    return o->folder >= 0 && fsync(o->descriptor) != 0 ? failed(o) : FHOLA_OK;
}

static fhola_status put_in_place(ckks_output *o)
{
    if (o->folder < 0) return FHOLA_OK;
    if ((o->flags & CKKS_OUTPUT_NEW ? place_new : place_over)(o) != 0)
        return o->flags & CKKS_OUTPUT_NEW && errno == EEXIST ? exists(o) : failed(o);
    drop_temporary(o);
    (void)fsync(o->folder); /* the file is there in any case; not every folder can do this */
    return FHOLA_OK;
}

static fhola_status close_descriptor(ckks_output *o)
{
    int descriptor = o->descriptor;
    o->descriptor = -1;
    if (descriptor >= 0 && close(descriptor) != 0 && o->folder < 0) return failed(o);
    return FHOLA_OK; /* a file was made durable before */
}

fhola_status ckks_output_commit(ckks_output *o)
{
    fhola_status status = make_durable(o);
    if (status == FHOLA_OK) status = put_in_place(o);
    return status == FHOLA_OK ? close_descriptor(o) : status;
}

/* Gives what is in the place of `o` a second name, that of `kept`; where there are no hard links,
 * the only one. */
static fhola_status keep_old(const ckks_output *o, ckks_output *kept)
{
    struct stat info;
    if (o->folder < 0 || o->flags & CKKS_OUTPUT_NEW || !is_there(o, &info)) return FHOLA_OK;
    if (take_name(kept, make_second) == 0) return FHOLA_OK;
    next_name(kept->temporary, o, ATTEMPTS);
    if (renameat(o->folder, o->place, o->folder, kept->temporary) == 0) return FHOLA_OK;
    kept->temporary[0] = 0;
    return failed(o);
}

static fhola_status commit_in_turn(ckks_output *first, ckks_output *second, ckks_output *kept)
{
    fhola_status status = make_durable(first);
    if (status == FHOLA_OK) status = make_durable(second);
    if (status == FHOLA_OK) status = keep_old(first, kept);
    if (status == FHOLA_OK) status = put_in_place(first);
    if (status != FHOLA_OK) return status;
    status = put_in_place(second);
    if (status != FHOLA_OK && !kept->temporary[0] && first->folder >= 0)
        (void)unlinkat(first->folder, first->place, 0); /* nothing was there before */
    return status;
}

static int same_place(const ckks_output *a, const ckks_output *b)
{
    struct stat x, y;
    return a->folder >= 0 && b->folder >= 0 && strcmp(a->place, b->place) == 0 &&
           fstat(a->folder, &x) == 0 && fstat(b->folder, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

fhola_status ckks_output_commit_both(ckks_output *first, ckks_output *second)
{
    if (same_place(first, second))
        return fhola_fail(FHOLA_PARAM, "%s and %s are the same file", first->name, second->name);
    ckks_output kept = *first;
    kept.temporary[0] = 0;
    fhola_status status = commit_in_turn(first, second, &kept);
    if (status != FHOLA_OK && kept.temporary[0])
        (void)renameat(kept.folder, kept.temporary, kept.folder, kept.place);
    drop_temporary(&kept);
    if (status == FHOLA_OK) status = close_descriptor(first);
    return status == FHOLA_OK ? close_descriptor(second) : status;
}

void ckks_output_clear(ckks_output *o)
{
    if (!o->name) return;
    int error = errno;
    if (o->descriptor >= 0) (void)close(o->descriptor);
    drop_temporary(o);
    if (o->folder >= 0) (void)close(o->folder);
    free(o->place);
    free(o->name);
    *o = (ckks_output){.descriptor = -1, .folder = -1};
    errno = error;
}

void ckks_output_replaces(const ckks_output *o, uint64_t *device, uint64_t *inode)
{
    struct stat info;
    int there = o->folder >= 0 && is_there(o, &info);
    *device = there ? (uint64_t)info.st_dev : 0;
    *inode = there ? (uint64_t)info.st_ino : 0;
}
