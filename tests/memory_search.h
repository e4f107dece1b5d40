/* SPDX-License-Identifier: Apache-2.0 */
/* Whether something secret is still anywhere in the memory of the process: all that the process may
 * write is searched. Includes need _GNU_SOURCE. */
#ifndef TESTS_MEMORY_SEARCH_H
#define TESTS_MEMORY_SEARCH_H

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ckks/ckks.h"

/* Under a sanitizer, whose shadow memory takes terabytes, memory cannot be searched. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_SEARCHABLE false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define MEMORY_SEARCHABLE false
#endif
#endif
#ifndef MEMORY_SEARCHABLE
#define MEMORY_SEARCHABLE true
#endif

#define MEMORY_PATTERNS 80
#define MEMORY_LENGTH   192u       /* of a pattern, at most */
#define MEMORY_HEAD     8u         /* of a pattern, at least: what a place is first judged by */
#define MEMORY_PIECE    (1u << 20) /* memory is searched in pieces of this size */

/* What is searched for, and the copy of the piece of memory that is searched; all in one place,
 * which is left out of the search. */
static struct {
    unsigned char bytes[MEMORY_PATTERNS][MEMORY_LENGTH];
    size_t length[MEMORY_PATTERNS], patterns;
    size_t head[MEMORY_PATTERNS]; /* where it has its first byte that is not 0, as most memory is */
    bool is_head[1u << 16];       /* of a pattern, by the hash of the bytes there */
    unsigned char piece[MEMORY_PIECE + MEMORY_LENGTH];
} memory_search;

/* What is released stays where it was, and is not given back to the system. To be called first. */
static inline void memory_keep_released(void)
{
    (void)mallopt(M_MMAP_MAX, 0);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

static inline void memory_forget_patterns(void)
{
    ckks_wipe(&memory_search, sizeof memory_search);
}

static inline size_t memory_hash(const unsigned char *bytes)
{
    uint64_t head;
    memcpy(&head, bytes, MEMORY_HEAD);
    return (size_t)(head * 0x9e3779b97f4a7c15u >> 48);
}

static inline void memory_look_for(const void *bytes, size_t length)
{
    size_t i = memory_search.patterns++;
    ck_assert(i < MEMORY_PATTERNS && length >= MEMORY_HEAD && length <= MEMORY_LENGTH);
    memcpy(memory_search.bytes[i], bytes, length);
    size_t head = 0;
    while (head + MEMORY_HEAD < length && !memory_search.bytes[i][head]) head++;
    ck_assert_uint_ne(memory_search.bytes[i][head], 0);
    memory_search.head[i] = head;
    memory_search.is_head[memory_hash(memory_search.bytes[i] + head)] = true;
    memory_search.length[i] = length;
}

/* The patterns whose heads are at this place of the piece, of which `got` bytes are there. */
static inline size_t memory_count_at(size_t place, size_t got)
{
    size_t found = 0;
    for (size_t i = 0; i < memory_search.patterns; i++) {
        size_t head = memory_search.head[i], length = memory_search.length[i];
        found += place >= head && length <= got - (place - head) &&
                 memcmp(memory_search.piece + place - head, memory_search.bytes[i], length) == 0;
    }
    return found;
}

static inline size_t memory_count_in(int memory, unsigned long start, unsigned long end)
{
    size_t found = 0;
    for (unsigned long at = start; at < end; at += MEMORY_PIECE) {
        size_t room = sizeof memory_search.piece, wanted = end - at < room ? end - at : room;
        ssize_t got = pread(memory, memory_search.piece, wanted, (off_t)at);
        for (size_t i = 0; got > 0 && i + MEMORY_HEAD <= (size_t)got; i++) {
            uint64_t bytes;
            memcpy(&bytes, memory_search.piece + i, sizeof bytes);
            if (bytes == 0) /* no head begins in any of them */
                i += sizeof bytes - 1;
            else if (memory_search.is_head[memory_hash(memory_search.piece + i)])
                found += memory_count_at(i, (size_t)got);
        }
    }
    return found;
}

/* The same but for the search itself. */
static inline size_t memory_count_beside(int memory, unsigned long start, unsigned long end)
{
    unsigned long own = (unsigned long)&memory_search, behind = own + sizeof memory_search;
    if (end <= own || start >= behind) return memory_count_in(memory, start, end);
    size_t found = start < own ? memory_count_in(memory, start, own) : 0;
    return end > behind ? found + memory_count_in(memory, behind, end) : found;
}

/* How often any of the patterns is found. */
static inline size_t memory_count(void)
{
    char line[512], rights[8];
    unsigned long start, end;
    size_t found = 0, searched = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    ck_assert(maps != NULL && memory >= 0);
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w') {
            found += memory_count_beside(memory, start, end);
            searched += end - start;
        }
    (void)fclose(maps);
    (void)close(memory);
    ck_assert_uint_gt(searched, 1u << 20);
    return found;
}

#endif
