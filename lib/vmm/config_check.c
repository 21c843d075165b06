/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"
#include "vmm/config_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static bool same_id(const json *a, const json *b, const char *id_key)
{
    const char *first = json_text(json_get(a, id_key));
    const char *second = json_text(json_get(b, id_key));

    return first != NULL && second != NULL && strcmp(first, second) == 0;
}

static int check_ids(const struct config_section *section, const json *list, int code)
{
    for (const json *one = json_first(list); one != NULL; one = json_next(one)) {
        for (const json *other = json_next(one); other != NULL; other = json_next(other)) {
            if (same_id(one, other, section->id_key)) {
                return err_set(code, "%s: %s \"%s\" twice", section->name, section->id_key,
                               json_text(json_get(one, section->id_key)));
            }
        }
    }
    return 0;
}

int config_check_lists(const json *tree, int code)
{
    int roots = 0;

    for (const struct config_section *row = config_sections; row->name != NULL; row++) {
        int rc = row->shape == SECTION_LIST ? check_ids(row, json_get(tree, row->name), code) : 0;

        if (rc < 0) {
            return rc;
        }
    }
    for (const json *drive = json_first(json_get(tree, "drives")); drive != NULL;
         drive = json_next(drive)) {
        roots += json_true(json_get(drive, "is_root_device"));
    }
    return roots <= 1 ? 0 : err_set(code, "drives: more than one is_root_device");
}

static bool has_huge_pages(const json *machine)
{
    const char *size = json_text(json_get(machine, "huge_pages"));

    return size != NULL && strcmp(size, "2M") == 0;
}

static uint64_t memory_mib(const json *machine)
{
    return (uint64_t)json_number(json_get(machine, "mem_size_mib"));
}

int config_check_together(const json *tree, int code)
{
    const json *machine = json_get(tree, "machine-config");
    uint64_t memory = memory_mib(machine);
    uint64_t vcpus = (uint64_t)json_number(json_get(machine, "vcpu_count"));
    double balloon = json_number(json_get(json_get(tree, "balloon"), "amount_mib"));

    if (has_huge_pages(machine) && memory % 2 != 0) {
        return err_set(code,
                       "machine-config.mem_size_mib: %" PRIu64 " is odd, which huge pages "
                       "cannot make",
                       memory);
    }
    if (json_true(json_get(machine, "smt")) && vcpus > 1 && vcpus % 2 != 0) {
        return err_set(code, "machine-config.vcpu_count: %" PRIu64 " is odd, but smt is on", vcpus);
    }
    if (balloon > (double)memory) {
        return err_set(code, "balloon.amount_mib: more than the memory of %" PRIu64 " MiB", memory);
    }
    return config_check_lists(tree, code);
}

static int check_has(const struct config_key *key, const json *object, const char *path, int code)
{
    if (json_has(object, key->key)) {
        return 0;
    }
    return err_set(code, "%s.%s: missing", path, key->key);
}

static int check_elements(const struct config_key *key, const json *list, int code)
{
    size_t index = 0;
    int rc = 0;

    for (const json *one = json_first(list); one != NULL && rc == 0; one = json_next(one)) {
        char path[64];

        snprintf(path, sizeof(path), "%s[%zu]", key->section, index++);
        rc = check_has(key, one, path, code);
    }
    return rc;
}

int config_check_required(const json *tree, int code, bool lists_only)
{
    for (const struct config_key *key = config_keys; key->section != NULL; key++) {
        const json *section = json_get(tree, key->section);
        int rc = 0;

        if (!key->required) {
            continue;
        }
        if (config_section_find(key->section)->shape == SECTION_LIST) {
            rc = check_elements(key, section, code);
        } else if (section != NULL && !lists_only) {
            rc = check_has(key, section, key->section, code);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Opened, since that alone tells whether it can be; not for what is not a file or a disk. */
static int open_input(const char *what, const char *path, int flags, int *out)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        return err_sys(errno, "%s %s", what, path);
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return err_set(FCSNAP_ECONFIG, "%s %s: not a file", what, path);
    }
    *out = open(path, flags | O_CLOEXEC | O_NONBLOCK);
    return *out < 0 ? err_sys(errno, "%s %s", what, path) : 0;
}

static int check_input(const char *what, const char *path, int flags)
{
    int fd;
    int rc = open_input(what, path, flags, &fd);

    if (rc == 0) {
        close(fd);
    }
    return rc;
}

static int check_kernel(const char *path)
{
    char magic[4] = "";
    ssize_t n;
    int fd;
    int rc = open_input("kernel", path, O_RDONLY, &fd);

    if (rc < 0) {
        return rc;
    }
    n = pread(fd, magic, sizeof(magic), 0);
    if (n < 0) {
        rc = err_sys(errno, "kernel %s", path);
    } else if (n < 4 || memcmp(magic, "\177ELF", 4) != 0) {
        /* Firecracker refuses it too, but says only that the magic is wrong. */
        rc = err_set(FCSNAP_ECONFIG, "kernel %s: not an ELF image%s", path,
                     memcmp(magic, "MZ", 2) == 0 ? " but a bzImage or PE" : "");
    }
    close(fd);
    return rc;
}

static int check_files(const json *tree)
{
    const json *source = json_get(tree, "boot-source");
    const char *initrd = json_text(json_get(source, "initrd_path"));
    int rc = check_kernel(json_text(json_get(source, "kernel_image_path")));

    if (rc == 0 && initrd != NULL) {
        rc = check_input("initrd", initrd, O_RDONLY);
    }
    for (const json *drive = json_first(json_get(tree, "drives")); drive != NULL && rc == 0;
         drive = json_next(drive)) {
        bool read_only = json_true(json_get(drive, "is_read_only"));

        rc = check_input("drive", json_text(json_get(drive, "path_on_host")),
                         read_only ? O_RDONLY : O_RDWR);
    }
    return rc;
}

static uint64_t pool_count(const char *name)
{
    unsigned long long count = 0;
    char path[96];
    FILE *file;

    snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", name);
    file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%llu", &count) != 1) {
        count = 0;
    }
    fclose(file);
    return count;
}

int config_check_pool(uint64_t mem_mib)
{
    uint64_t unused = pool_count("free_hugepages");
    uint64_t reserved = pool_count("resv_hugepages");

    unused = unused > reserved ? unused - reserved : 0;
    if (mem_mib / 2 > unused) {
        return err_set(FCSNAP_ERESOURCE,
                       "%" PRIu64 " huge pages of 2 MiB, but the host has %" PRIu64 " free",
                       mem_mib / 2, unused);
    }
    return 0;
}

static int check_resources(const json *machine)
{
    uint64_t memory = memory_mib(machine);
    uint64_t total;
    struct sysinfo info;

    if (sysinfo(&info) < 0) {
        return err_sys(errno, "sysinfo");
    }
    total = (uint64_t)info.totalram * info.mem_unit >> 20;
    if (memory > total) {
        return err_set(FCSNAP_ERESOURCE,
                       "memory of %" PRIu64 " MiB, but the host has %" PRIu64 " MiB", memory,
                       total);
    }
    return has_huge_pages(machine) ? config_check_pool(memory) : 0;
}

int config_check(const fcsnap_config *config)
{
    const json *tree = config->tree;
    int rc;

    if (!json_has(json_get(tree, "boot-source"), "kernel_image_path")) {
        return err_set(FCSNAP_ECONFIG, "no kernel: boot-source.kernel_image_path is missing");
    }
    rc = config_check_required(tree, FCSNAP_ECONFIG, false);
    rc = rc < 0 ? rc : config_check_together(tree, FCSNAP_ECONFIG);
    rc = rc < 0 ? rc : check_files(tree);
    return rc < 0 ? rc : check_resources(json_get(tree, "machine-config"));
}
