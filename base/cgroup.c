#include "base/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Where one hierarchy is, from a line of mountinfo:
 *     36 32 0:33 /docker/1a /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
 *                ^ root     ^ point                           ^ kind        ^ controllers (v1)
 */
struct mount {
    bool unified;
    char *root, *point, *controllers;
};

/* True if name is one of the comma-separated words. */
static bool has_word(const char *words, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = words; *at; at += strcspn(at, ","), at += *at == ',') {
        if (strcspn(at, ",") == length && memcmp(at, name, length) == 0)
            return true;
    }
    return false;
}

/* Cuts a mountinfo line into its fields in place; false if it is no control group. */
static bool parse_mount(struct mount *mount, char *line)
{
    char *rest = strstr(line, " - "), *save = NULL;
    if (!rest)
        return false;
    *rest = '\0';
    char *fields[5] = {0};
    int n = 0;
    for (char *field = strtok_r(line, " ", &save); field && n < 5; field = strtok_r(NULL, " ", &save))
        fields[n++] = field;
    char *kind = strtok_r(rest + 3, " ", &save);
    char *device = strtok_r(NULL, " ", &save);
    char *options = strtok_r(NULL, " \n", &save);
    if (n < 5 || !kind || !device || !options || strncmp(kind, "cgroup", 6) != 0)
        return false;
    *mount = (struct mount){strcmp(kind, "cgroup2") == 0, fields[3], fields[4], options};
    return true;
}

/* The numbers at the start of folder/name; false for "max" and "-1" (both: no limit) and when there is no such file. */
static bool read_limit(const char *folder, const char *name, double *first, double *second)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool complete = fscanf(file, "%lf", first) == 1 && (!second || fscanf(file, "%lf", second) == 1);
    fclose(file);
    return complete && *first > 0;
}

static void lower_cpus(struct sb_cgroup_limits *limits, double quota, double period)
{
    if (period > 0 && (limits->cpus == 0 || quota / period < limits->cpus))
        limits->cpus = quota / period;
}

static void lower_memory(struct sb_cgroup_limits *limits, double bytes)
{
    /* v1 says "none" with the largest multiple of the page size. */
    if (bytes < 0x1p62 && (limits->memory == 0 || bytes < (double)limits->memory))
        limits->memory = (size_t)bytes;
}

static void read_folder(struct sb_cgroup_limits *limits, const struct mount *mount, const char *folder)
{
    double value, period;
    if (mount->unified) {
        if (read_limit(folder, "cpu.max", &value, &period))
            lower_cpus(limits, value, period);
        if (read_limit(folder, "memory.max", &value, NULL))
            lower_memory(limits, value);
        return;
    }
    if (read_limit(folder, "cpu.cfs_quota_us", &value, NULL) && read_limit(folder, "cpu.cfs_period_us", &period, NULL))
        lower_cpus(limits, value, period);
    if (read_limit(folder, "memory.limit_in_bytes", &value, NULL))
        lower_memory(limits, value);
}

/* Walks from the group of the process up to the mount point. */
static void read_hierarchy(struct sb_cgroup_limits *limits, const struct mount *mount, const char *group,
                           const char *root)
{
    /* In a container the group may be named as the host sees it: the mount's own root is then a prefix of the name. */
    size_t above = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    bool inside = strncmp(group, mount->root, above) == 0 && (group[above] == '/' || group[above] == '\0');
    const char *below = inside ? group + above : "";
    if (strncmp(below, "/..", 3) == 0) /* outside of our name space: the mount is all that we see */
        below = "";
    char folder[4000];
    int length = snprintf(folder, sizeof folder, "%s%s%s", root, mount->point, below);
    if (length < 0 || (size_t)length >= sizeof folder)
        return;
    size_t top = strlen(root) + strlen(mount->point);
    for (size_t end = (size_t)length; end >= top; end--) {
        if (folder[end] != '\0' && folder[end] != '/')
            continue;
        folder[end] = '\0';
        read_folder(limits, mount, folder);
    }
}

/* Our group in the hierarchy of mount, from /proc/self/cgroup: "0::/path" (v2) or "5:cpu,cpuacct:/path" (v1). */
static bool find_group(char *group, size_t size, const struct mount *mount, const char *root)
{
    char path[4096], line[4096];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *name = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!name)
            continue;
        *controllers++ = *name++ = '\0';
        found = mount->unified ? strcmp(line, "0") == 0
                               : (has_word(controllers, "cpu") && has_word(mount->controllers, "cpu")) ||
                                     (has_word(controllers, "memory") && has_word(mount->controllers, "memory"));
        if (found)
            snprintf(group, size, "%s", name);
    }
    if (file)
        fclose(file);
    return found;
}

struct sb_cgroup_limits sb_cgroup_limits(const char *root)
{
    struct sb_cgroup_limits limits = {0};
    char path[4096], line[4096], group[4096];
    snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        struct mount mount;
        if (parse_mount(&mount, line) && find_group(group, sizeof group, &mount, root))
            read_hierarchy(&limits, &mount, group, root);
    }
    if (file)
        fclose(file);
    return limits;
}
