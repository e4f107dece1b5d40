/* SPDX-License-Identifier: Apache-2.0 */
/* What control groups allow a process. */
#ifndef NN_CMD_CGROUP_H
#define NN_CMD_CGROUP_H

/* Where a process finds its own. */
#define NN_CMD_CGROUPS      "/proc/self/cgroup"
#define NN_CMD_CGROUP_MOUNT "/sys/fs/cgroup"

/* Processors whose time the control groups of a process allow it, infinite without a limit.
 * `groups`: its list, `mount`: where they are mounted. */
double nn_cmd_cpu_limit(const char *groups, const char *mount);
/* Bytes of memory that they allow it. */
double nn_cmd_memory_limit(const char *groups, const char *mount);

#endif
