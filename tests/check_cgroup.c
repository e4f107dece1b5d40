/* SPDX-License-Identifier: Apache-2.0 */
/* What control groups allow, from copies of the system's files. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/cgroup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check_nn_support.h"

static char root[64];

/* Writes root/path, making the folders on the way. */
static void put(const char *path, const char *text)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *at = name + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        (void)mkdir(name, 0700);
        *at = '/';
    }
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static double limit(void)
{
    char groups[128], mount[128];
    snprintf(groups, sizeof groups, "%s/groups", root);
    snprintf(mount, sizeof mount, "%s/cgroup", root);
    return nn_cmd_cpu_limit(groups, mount);
}

static void set_up(void)
{
    snprintf(root, sizeof root, "check_cgroup.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(version_2)
{
    put("groups", "0::/service/worker\n");
    ck_assert(isinf(limit()));
    put("cgroup/service/worker/cpu.max", "max 100000\n");
    ck_assert(isinf(limit()));
    put("cgroup/service/worker/cpu.max", "250000 100000\n");
    ck_assert_double_eq(limit(), 2.5);
    /* the group above allows less */
    put("cgroup/service/cpu.max", "75000 50000\n");
    ck_assert_double_eq(limit(), 1.5);
    put("cgroup/service/cpu.max", "max 50000\n");
    ck_assert_double_eq(limit(), 2.5);
}
END_TEST

/* In a container the mount is its own group. */
START_TEST(own_name_space)
{
    put("groups", "0::/\n");
    put("cgroup/cpu.max", "50000 100000\n");
    ck_assert_double_eq(limit(), 0.5);
    put("groups", "0::/somewhere/on/the/host\n");
    ck_assert_double_eq(limit(), 0.5);
}
END_TEST

START_TEST(version_1)
{
    put("groups", "5:memory:/other\n4:cpu,cpuacct:/a/b\n1:cpuset:/\n0::/a\n");
    put("cgroup/cpuset/cpu.cfs_quota_us", "1000\n");
    put("cgroup/cpuset/cpu.cfs_period_us", "100000\n");
    put("cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    put("cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    ck_assert(isinf(limit()));
    put("cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "300000\n");
    put("cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    ck_assert_double_eq(limit(), 3);
}
END_TEST

static double memory(void)
{
    char groups[128], mount[128];
    snprintf(groups, sizeof groups, "%s/groups", root);
    snprintf(mount, sizeof mount, "%s/cgroup", root);
    return nn_cmd_memory_limit(groups, mount);
}

START_TEST(memory_of_groups)
{
    put("groups", "5:memory:/m\n4:cpu:/a\n0::/g/h\n");
    ck_assert(isinf(memory()));
    put("cgroup/g/h/memory.max", "max\n");
    put("cgroup/memory.max", "-3\n");
    ck_assert(isinf(memory()));
    put("cgroup/g/memory.max", "5000000000\n");
    ck_assert_double_eq(memory(), 5e9);
    put("cgroup/g/h/memory.max", "6000000000\n");
    put("cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n");
    ck_assert_double_eq(memory(), 5e9);
    put("cgroup/memory/memory.limit_in_bytes", "4000000000\n");
    ck_assert_double_eq(memory(), 4e9);
    ck_assert(isinf(limit()));
}
END_TEST

START_TEST(nonsense_is_no_limit)
{
    static const char *const quotas[] = {"",      "100000\n", "0 0\n", "-5 100000\n",
                                         "x y\n", "nan 1\n"};
    ck_assert(isinf(limit()));
    put("groups", "\n:\n::\n0:\n0::relative\n0::/g\n");
    for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++) {
        put("cgroup/g/cpu.max", quotas[i]);
        ck_assert_msg(isinf(limit()), "'%s' is a limit of %g", quotas[i], limit());
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("cgroup");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, version_2);
    tcase_add_test(tcase, own_name_space);
    tcase_add_test(tcase, version_1);
    tcase_add_test(tcase, memory_of_groups);
    tcase_add_test(tcase, nonsense_is_no_limit);
    return run_tests("cgroup", tcase, 60);
}
