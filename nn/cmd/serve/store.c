/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* flock */
#include "nn/cmd/serve/store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NAME_ROOM  64u
#define HEAD_BYTES 40u /* of a container: its kind and its key */

struct serve_store {
    char *path;
    int folder;
    serve_limits limits;
    serve_accept_fn accept;
    void *arg;
};

struct serve_upload {
    const serve_store *store;
    int folder; /* of the owner */
    int file;   /* locked */
    char owner[SERVE_OWNER_ROOM], part[NAME_ROOM];
    uint64_t id, total, at;
    unsigned char head[HEAD_BYTES]; /* the first bytes, which are not written before all are here */
    fhola_status status;
};

/* ---- names ---- */

typedef enum file_kind { FILE_OTHER, FILE_SET, FILE_PART } file_kind;

typedef struct file_name {
    file_kind kind;
    uint64_t id, total; /* total: of a part */
} file_name;

static void set_name(char name[NAME_ROOM], uint64_t id)
{
    snprintf(name, NAME_ROOM, "%016" PRIx64 ".keys", id);
}

static void part_name(char name[NAME_ROOM], uint64_t id, uint64_t total)
{
    snprintf(name, NAME_ROOM, "%016" PRIx64 ".%" PRIu64 ".part", id, total);
}

/* Exactly the names that are made here. */
static file_name parse_name(const char *text)
{
    char again[NAME_ROOM];
    file_name name = {FILE_OTHER, 0, 0};
    if (sscanf(text, "%16" SCNx64 ".%20" SCNu64, &name.id, &name.total) == 2) {
        part_name(again, name.id, name.total);
        if (strcmp(again, text) == 0) name.kind = FILE_PART;
    } else if (sscanf(text, "%16" SCNx64, &name.id) == 1) {
        set_name(again, name.id);
        if (strcmp(again, text) == 0) name.kind = FILE_SET;
    }
    return name;
}

static bool is_owner(const char *name)
{
    size_t length = strlen(name);
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_') return false;
    return length > 0 && length < SERVE_OWNER_ROOM;
}

/* ---- folders ---- */

static serve_outcome failed(const serve_store *s, const char *owner, const char *name)
{
    int code = errno;
    (void)fhola_fail(FHOLA_IO, "%s/%s/%s: %s", s->path, owner, name, strerror(code));
    return code == ENOSPC || code == EDQUOT || code == EFBIG ? SERVE_FULL : SERVE_FAILED;
}

static serve_outcome absent(uint64_t id)
{
    (void)fhola_fail(FHOLA_KEY, "there are no evaluation keys %016" PRIx64, id);
    return SERVE_ABSENT;
}

static int open_folder(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_owner(const serve_store *s, const char *owner)
{
    if (is_owner(owner)) return open_folder(s->folder, owner);
    errno = ENOENT;
    return -1;
}

/* Excludes other threads and other processes until the descriptor is closed. No owner has a dot in
 * his name. */
static int lock_names(const serve_store *s)
{
    int lock = openat(s->folder, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    while (lock >= 0 && flock(lock, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        (void)close(lock);
        return -1;
    }
    return lock;
}

typedef void (*visit_fn)(void *arg, int folder, const char *name);

static void each(int folder, visit_fn visit, void *arg)
{
    int again = open_folder(folder, ".");
    DIR *list = again >= 0 ? fdopendir(again) : NULL;
    if (!list) {
        if (again >= 0) (void)close(again);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(list));) visit(arg, folder, entry->d_name);
    (void)closedir(list);
}

/* ---- stores ---- */

static fhola_status open_store(serve_store *s, const char *path)
{
    s->path = strdup(path);
    if (!s->path) return fhola_fail(FHOLA_NOMEM, "no memory for the folder of keys");
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    s->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lock = s->folder >= 0 ? lock_names(s) : -1;
    if (lock < 0) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    (void)close(lock);
    return FHOLA_OK;
}

fhola_status serve_store_open(serve_store **store, const char *path, serve_limits limits,
                              serve_accept_fn accept, void *arg)
{
    serve_store *s = malloc(sizeof *s);
    if (!s) return fhola_fail(FHOLA_NOMEM, "no memory for the folder of keys");
    *s = (serve_store){.folder = -1, .limits = limits, .accept = accept, .arg = arg};
    fhola_status status = open_store(s, path);
    if (status != FHOLA_OK)
        serve_store_close(s);
    else
        *store = s;
    return status;
}

void serve_store_close(serve_store *s)
{
    if (!s) return;
    if (s->folder >= 0) (void)close(s->folder);
    free(s->path);
    free(s);
}

bool serve_store_knows(const serve_store *s, const char *owner)
{
    int folder = open_owner(s, owner);
    if (folder >= 0) (void)close(folder);
    return folder >= 0;
}

/* ---- what is there ---- */

typedef struct part_search {
    uint64_t id;
    bool found;
    uint64_t total;
} part_search;

static void match_part(void *arg, int folder, const char *text)
{
    part_search *p = arg;
    file_name name = parse_name(text);
    (void)folder;
    if (name.kind != FILE_PART || name.id != p->id) return;
    p->found = true;
    p->total = name.total;
}

static part_search find_part(int folder, uint64_t id)
{
    part_search p = {.id = id};
    each(folder, match_part, &p);
    return p;
}

static bool look_at(int folder, const char *name, serve_set *set)
{
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
        return false;
    *set = (serve_set){(uint64_t)info.st_size, (uint64_t)info.st_size, (uint64_t)info.st_dev,
                       (uint64_t)info.st_ino};
    return true;
}

/* A part that becomes whole between two looks is found by the last one. */
static serve_outcome look_for(int folder, uint64_t id, serve_set *set)
{
    char name[NAME_ROOM];
    set_name(name, id);
    if (look_at(folder, name, set)) return SERVE_WHOLE;
    part_search p = find_part(folder, id);
    if (p.found) {
        part_name(name, id, p.total);
        if (look_at(folder, name, set)) {
            set->total = p.total;
            return SERVE_PART;
        }
    }
    set_name(name, id);
    return look_at(folder, name, set) ? SERVE_WHOLE : absent(id);
}

serve_outcome serve_store_find(const serve_store *s, const char *owner, uint64_t id, serve_set *set)
{
    int folder = open_owner(s, owner);
    if (folder < 0) return errno == ENOENT ? absent(id) : failed(s, owner, "");
    serve_outcome outcome = look_for(folder, id, set);
    (void)close(folder);
    return outcome;
}

fhola_status serve_store_path(const serve_store *s, const char *owner, uint64_t id, char *path,
                              size_t room)
{
    char name[NAME_ROOM];
    set_name(name, id);
    int length = snprintf(path, room, "%s/%s/%s", s->path, owner, name);
    if (length < 0 || (size_t)length >= room)
        return fhola_fail(FHOLA_PARAM, "%s: too long a path", s->path);
    return FHOLA_OK;
}

void serve_store_touch(const serve_store *s, const char *owner, uint64_t id)
{
    char name[NAME_ROOM];
    int folder = open_owner(s, owner);
    if (folder < 0) return;
    set_name(name, id);
    (void)utimensat(folder, name, NULL, AT_SYMLINK_NOFOLLOW);
    (void)close(folder);
}

/* ---- removing ---- */

static void remove_all_of(void *arg, int folder, const char *text)
{
    part_search *p = arg;
    file_name name = parse_name(text);
    if (name.kind == FILE_OTHER || name.id != p->id) return;
    if (unlinkat(folder, text, 0) == 0) p->found = true;
}

serve_outcome serve_store_remove(const serve_store *s, const char *owner, uint64_t id)
{
    part_search p = {.id = id};
    int lock = lock_names(s);
    if (lock < 0) return failed(s, ".lock", "");
    int folder = open_owner(s, owner);
    if (folder >= 0) {
        each(folder, remove_all_of, &p);
        (void)close(folder);
        (void)unlinkat(s->folder, owner, AT_REMOVEDIR); /* if it is empty now */
    }
    (void)close(lock);
    return p.found ? SERVE_WHOLE : absent(id);
}

typedef struct expiry {
    uint64_t set_age, part_age;
    int64_t now;
    size_t gone;
} expiry;

/* A part that a request is writing has its time still to come. */
static bool is_being_written(int folder, const char *name)
{
    int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool busy = file >= 0 && flock(file, LOCK_EX | LOCK_NB) != 0;
    if (file >= 0) (void)close(file);
    return busy;
}

static void expire_file(void *arg, int folder, const char *text)
{
    expiry *e = arg;
    struct stat info;
    file_name name = parse_name(text);
    uint64_t age = name.kind == FILE_SET ? e->set_age : name.kind == FILE_PART ? e->part_age : 0;
    if (!age || fstatat(folder, text, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (e->now - (int64_t)info.st_mtime < (int64_t)age) return;
    if (name.kind == FILE_PART && is_being_written(folder, text)) return;
    if (unlinkat(folder, text, 0) == 0) e->gone++;
}

static void expire_owner(void *arg, int top, const char *owner)
{
    int folder = is_owner(owner) ? open_folder(top, owner) : -1;
    if (folder < 0) return;
    each(folder, expire_file, arg);
    (void)close(folder);
    (void)unlinkat(top, owner, AT_REMOVEDIR); /* if it is empty now */
}

size_t serve_store_expire(const serve_store *s, uint64_t set_age, uint64_t part_age, int64_t now)
{
    expiry e = {set_age, part_age, now, 0};
    int lock = lock_names(s);
    if (lock < 0) return 0;
    each(s->folder, expire_owner, &e);
    (void)close(lock);
    return e.gone;
}

/* ---- room ---- */

/* Bytes of all sets and, as if they were whole, of all parts but one. */
typedef struct usage {
    const char *owner;
    uint64_t id; /* whose part does not count */
    bool own;    /* while the owner's folder is looked at */
    uint64_t all, of_owner, parts, parts_of_owner;
} usage;

static void count_file(void *arg, int folder, const char *text)
{
    usage *u = arg;
    struct stat info;
    file_name name = parse_name(text);
    uint64_t bytes = name.total;
    if (name.kind == FILE_OTHER) return;
    if (name.kind == FILE_PART && u->own && name.id == u->id) return;
    u->parts += name.kind == FILE_PART;
    u->parts_of_owner += name.kind == FILE_PART && u->own;
    if (name.kind == FILE_SET) {
        if (fstatat(folder, text, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
        bytes = (uint64_t)info.st_size;
    }
    u->all = bytes > UINT64_MAX - u->all ? UINT64_MAX : u->all + bytes;
    if (u->own) u->of_owner = bytes > UINT64_MAX - u->of_owner ? UINT64_MAX : u->of_owner + bytes;
}

static void count_owner(void *arg, int top, const char *owner)
{
    usage *u = arg;
    int folder = is_owner(owner) ? open_folder(top, owner) : -1;
    if (folder < 0) return;
    u->own = strcmp(owner, u->owner) == 0;
    each(folder, count_file, arg);
    (void)close(folder);
}

static bool exceeds(uint64_t used, uint64_t more, uint64_t limit)
{
    return limit && (more > limit || used > limit - more);
}

static serve_outcome check_limits(const serve_store *s, const char *owner, uint64_t id,
                                  uint64_t total)
{
    usage u = {.owner = owner, .id = id};
    each(s->folder, count_owner, &u);
    if (exceeds(u.of_owner, total, s->limits.owner)) {
        (void)fhola_fail(FHOLA_IO,
                         "%" PRIu64 " bytes of keys beside %" PRIu64 " are more than the %" PRIu64
                         " that a client may have",
                         total, u.of_owner, s->limits.owner);
        return SERVE_LIMIT;
    }
    if (exceeds(u.parts, 1, s->limits.parts) ||
        exceeds(u.parts_of_owner, 1, s->limits.owner_parts)) {
        (void)fhola_fail(FHOLA_IO,
                         "there are %" PRIu64 " other uploads that are not complete, %" PRIu64
                         " of them of this client",
                         u.parts, u.parts_of_owner);
        return SERVE_LIMIT;
    }
    if (!exceeds(u.all, total, s->limits.all)) return SERVE_PART;
    (void)fhola_fail(FHOLA_IO, "%" PRIu64 " bytes of keys are more than this server has room for",
                     total);
    return SERVE_LIMIT;
}

static serve_outcome check_disk(int folder, uint64_t bytes)
{
    struct statvfs disk;
    if (fstatvfs(folder, &disk) != 0) return SERVE_PART; /* writing will tell */
    if (bytes <= (uint64_t)disk.f_bavail * disk.f_frsize) return SERVE_PART;
    (void)fhola_fail(FHOLA_IO, "no room on the disk for %" PRIu64 " bytes of keys", bytes);
    return SERVE_FULL;
}

/* ---- uploads: beginning ---- */

static serve_outcome gap(uint64_t first, uint64_t there)
{
    (void)fhola_fail(FHOLA_PARAM,
                     "bytes from %" PRIu64 " on do not follow the %" PRIu64 " that are there",
                     first, there);
    return SERVE_GAP;
}

/* The part of another total gives way when all begins anew, unless it is being written. */
static serve_outcome settle_total(int folder, uint64_t id, serve_range range)
{
    char name[NAME_ROOM];
    part_search p = find_part(folder, id);
    if (!p.found || p.total == range.total) return SERVE_PART;
    part_name(name, id, p.total);
    if (is_being_written(folder, name)) {
        (void)fhola_fail(FHOLA_IO, "these keys are being uploaded by another request");
        return SERVE_BUSY;
    }
    if (range.first == 0 && unlinkat(folder, name, 0) == 0) return SERVE_PART;
    (void)fhola_fail(FHOLA_PARAM, "the upload was begun for %" PRIu64 " bytes, not %" PRIu64,
                     p.total, range.total);
    return SERVE_GAP;
}

/* A part that begins behind its first byte must be there. */
static serve_outcome open_part(serve_upload *u, serve_range range)
{
    struct stat info;
    const bool begins = range.first == 0 || range.first == SERVE_AT_END;
    u->file =
        openat(u->folder, u->part, O_RDWR | (begins ? O_CREAT : 0) | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (u->file < 0 && !begins && errno == ENOENT) return gap(range.first, 0);
    if (u->file < 0) return failed(u->store, u->owner, u->part);
    if (flock(u->file, LOCK_EX | LOCK_NB) != 0) {
        (void)fhola_fail(FHOLA_IO, "these keys are being uploaded by another request");
        return SERVE_BUSY;
    }
    if (fstat(u->file, &info) != 0) return failed(u->store, u->owner, u->part);
    uint64_t there = (uint64_t)info.st_size;
    u->at = range.first == SERVE_AT_END ? there : range.first;
    if (u->at > there || u->at > u->total) return gap(u->at, there);
    if (u->at < HEAD_BYTES && u->at > 0) return gap(u->at, 0);
    if (ftruncate(u->file, (off_t)u->at) != 0) return failed(u->store, u->owner, u->part);
    return check_disk(u->folder, u->total - u->at);
}

/* With the names locked. */
static serve_outcome begin(serve_upload *u, serve_range range)
{
    const serve_store *s = u->store;
    const char *owner = u->owner;
    serve_set set;
    if (mkdirat(s->folder, owner, 0700) != 0 && errno != EEXIST) return failed(s, owner, "");
    u->folder = open_owner(s, owner);
    if (u->folder < 0) return failed(s, owner, "");
    if (look_for(u->folder, u->id, &set) == SERVE_WHOLE) return SERVE_WHOLE;
    serve_outcome outcome = check_limits(s, owner, u->id, range.total);
    if (outcome == SERVE_PART) outcome = settle_total(u->folder, u->id, range);
    if (outcome != SERVE_PART) return outcome;
    return open_part(u, range);
}

serve_outcome serve_upload_open(serve_upload **upload, const serve_store *store, const char *owner,
                                uint64_t id, serve_range range)
{
    if (!is_owner(owner) || range.total > INT64_MAX) {
        (void)fhola_fail(FHOLA_PARAM, "%" PRIu64 " bytes of keys for '%s'", range.total, owner);
        return SERVE_LIMIT;
    }
    serve_upload *u = malloc(sizeof *u);
    int lock = u ? lock_names(store) : -1;
    if (lock < 0) {
        free(u);
        return failed(store, ".lock", "");
    }
    *u = (serve_upload){.store = store, .folder = -1, .file = -1, .id = id, .total = range.total};
    memcpy(u->owner, owner, strlen(owner) + 1);
    part_name(u->part, id, range.total);
    serve_outcome outcome = begin(u, range);
    if (outcome == SERVE_FULL) (void)unlinkat(u->folder, u->part, 0);
    if (outcome != SERVE_PART) (void)unlinkat(store->folder, owner, AT_REMOVEDIR); /* if empty */
    (void)close(lock);
    if (outcome == SERVE_PART)
        *upload = u;
    else
        serve_upload_close(u);
    return outcome;
}

void serve_upload_close(serve_upload *u)
{
    if (!u) return;
    if (u->file >= 0) (void)close(u->file);
    if (u->folder >= 0) (void)close(u->folder);
    free(u);
}

uint64_t serve_upload_bytes(const serve_upload *u)
{
    return u->at < HEAD_BYTES ? 0 : u->at; /* a smaller beginning is not kept */
}

fhola_status serve_upload_status(const serve_upload *u)
{
    return u->status;
}

/* ---- uploads: writing ---- */

/* Whether the name still is that of the file: others remove and replace names. */
static bool is_mine(const serve_upload *u)
{
    struct stat info;
    serve_set set;
    return fstat(u->file, &info) == 0 && look_at(u->folder, u->part, &set) &&
           set.device == (uint64_t)info.st_dev && set.inode == (uint64_t)info.st_ino;
}

static void discard(const serve_upload *u)
{
    int lock = lock_names(u->store);
    if (is_mine(u)) (void)unlinkat(u->folder, u->part, 0);
    (void)unlinkat(u->store->folder, u->owner, AT_REMOVEDIR); /* if it is empty now */
    if (lock >= 0) (void)close(lock);
}

static serve_outcome refuse(serve_upload *u, fhola_status status)
{
    u->status = status;
    if (status == FHOLA_NOMEM || status == FHOLA_IO) return SERVE_FAILED;
    discard(u);
    return SERVE_REFUSED;
}

static serve_outcome write_all(serve_upload *u, const unsigned char *bytes, size_t length,
                               uint64_t at)
{
    while (length) {
        ssize_t written = pwrite(u->file, bytes, length, (off_t)at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            if (written == 0) errno = ENOSPC;
            serve_outcome outcome = failed(u->store, u->owner, u->part);
            if (outcome == SERVE_FULL) discard(u);
            return outcome;
        }
        bytes += written;
        length -= (size_t)written;
        at += (uint64_t)written;
    }
    return SERVE_PART;
}

/* A secret key, or what is called by another's name, never reaches the disk. */
static fhola_status check_head(const serve_upload *u)
{
    ckks_reader *reader = NULL;
    unsigned char copy[HEAD_BYTES];
    memcpy(copy, u->head, sizeof copy);
    FILE *stream = fmemopen(copy, sizeof copy, "rb");
    if (!stream) return fhola_fail(FHOLA_NOMEM, "no memory for the head of keys");
    fhola_status status = ckks_reader_create(&reader, stream, "the keys");
    if (status == FHOLA_OK) status = ckks_reader_peek(reader, NULL, CKKS_FILE_EVAL_KEYS);
    if (status == FHOLA_OK && ckks_reader_head(reader).key != u->id)
        status =
            fhola_fail(FHOLA_KEY, "these are keys %016" PRIx64 ", sent under the name %016" PRIx64,
                       ckks_reader_head(reader).key, u->id);
    ckks_reader_destroy(reader);
    (void)fclose(stream);
    return status;
}

/* Takes of the bytes what belongs to the head. */
static serve_outcome fill_head(serve_upload *u, const unsigned char **bytes, size_t *length)
{
    size_t wanted = HEAD_BYTES - (size_t)u->at, taken = *length < wanted ? *length : wanted;
    memcpy(u->head + u->at, *bytes, taken);
    *bytes += taken;
    *length -= taken;
    u->at += taken;
    if (u->at < HEAD_BYTES) return SERVE_PART;
    fhola_status status = check_head(u);
    if (status != FHOLA_OK) return refuse(u, status);
    return write_all(u, u->head, HEAD_BYTES, 0);
}

/* Whether the file has no name any more: what is written to it would count nowhere. */
static bool is_removed(const serve_upload *u)
{
    struct stat info;
    return fstat(u->file, &info) == 0 && info.st_nlink == 0;
}

serve_outcome serve_upload_write(serve_upload *u, const void *bytes, size_t length)
{
    const unsigned char *from = bytes;
    if (is_removed(u)) return absent(u->id);
    if (length > u->total - u->at) {
        (void)fhola_fail(FHOLA_PARAM, "more than the %" PRIu64 " bytes announced", u->total);
        return SERVE_LIMIT;
    }
    if (u->at < HEAD_BYTES) {
        serve_outcome outcome = fill_head(u, &from, &length);
        if (outcome != SERVE_PART || u->at < HEAD_BYTES) return outcome;
    }
    serve_outcome outcome = write_all(u, from, length, u->at);
    if (outcome == SERVE_PART) u->at += length;
    return outcome;
}

/* ---- uploads: the end ---- */

/* Every chunk's checksum, in constant memory. */
static fhola_status read_chunks(const serve_upload *u, ckks_reader *reader)
{
    ckks_chunk_info chunk = {.tag = ""};
    FHOLA_TRY(ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, NULL, u->id));
    while (strcmp(chunk.tag, "END ") != 0) FHOLA_TRY(ckks_reader_skip(reader, &chunk));
    uint64_t bytes;
    uint32_t chunks;
    ckks_reader_extent(reader, &bytes, &chunks);
    if (bytes == u->total) return FHOLA_OK;
    return fhola_fail(FHOLA_FORMAT, "the keys: something follows the end at byte %" PRIu64, bytes);
}

static fhola_status check_chunks(const serve_upload *u, FILE *stream)
{
    ckks_reader *reader = NULL;
    rewind(stream);
    fhola_status status = ckks_reader_create(&reader, stream, "the keys");
    if (status == FHOLA_OK) status = read_chunks(u, reader);
    ckks_reader_destroy(reader);
    return status;
}

static fhola_status check_content(const serve_upload *u)
{
    const serve_store *s = u->store;
    if (u->at < HEAD_BYTES) return fhola_fail(FHOLA_FORMAT, "%" PRIu64 " bytes are no keys", u->at);
    int again = fcntl(u->file, F_DUPFD_CLOEXEC, 3);
    FILE *stream = again >= 0 ? fdopen(again, "rb") : NULL;
    if (!stream) {
        if (again >= 0) (void)close(again);
        return fhola_fail(FHOLA_IO, "the keys: %s", strerror(errno));
    }
    fhola_status status = check_chunks(u, stream);
    if (status == FHOLA_OK && s->accept) status = s->accept(s->arg, stream);
    (void)fclose(stream);
    return status;
}

/* With the names locked. */
static serve_outcome publish(const serve_upload *u)
{
    char name[NAME_ROOM];
    set_name(name, u->id);
    if (!is_mine(u)) return absent(u->id);
    if (renameat(u->folder, u->part, u->folder, name) != 0 || fsync(u->folder) != 0 ||
        fsync(u->store->folder) != 0)
        return failed(u->store, u->owner, name);
    return SERVE_WHOLE;
}

serve_outcome serve_upload_finish(serve_upload *u)
{
    if (u->at < u->total) return SERVE_PART;
    fhola_status status = check_content(u);
    if (status != FHOLA_OK) return refuse(u, status);
    if (fsync(u->file) != 0) {
        serve_outcome outcome = failed(u->store, u->owner, u->part);
        if (outcome == SERVE_FULL) discard(u);
        return outcome;
    }
    int lock = lock_names(u->store);
    if (lock < 0) return failed(u->store, ".lock", "");
    serve_outcome outcome = publish(u);
    (void)close(lock);
    return outcome;
}
