/*
 * The CPU and memory limits that a container's control group (v1 or v2) sets.
 *
 *     struct sb_cgroup_limits limits = sb_cgroup_limits("");
 *     if (limits.cpus > 0) ...
 *
 * A limit of any ancestor counts too, so the smallest on the way from the process's group to the mount is taken.
 */
#ifndef SB_BASE_CGROUP_H
#define SB_BASE_CGROUP_H

#include <stddef.h>

struct sb_cgroup_limits {
    double cpus;   /* CPU quota in processors, for example 1.5; 0: none */
    size_t memory; /* bytes; 0: none */
};

/* root goes before /proc and /sys ("" outside tests). What can not be read counts as no limit. Thread-safe. */
struct sb_cgroup_limits sb_cgroup_limits(const char *root);

#endif
