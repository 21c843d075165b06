/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_CONFIG_H
#define FCSNAP_CONFIG_H

#include <fcsnap/version.h>

/**
 * @defgroup libfcsnap_config description of a VM to boot
 *
 * A config says what a VM is made of. It starts as one vCPU, 128 MiB and a
 * vsock device; a kernel must be set. It is borrowed by a boot, which copies
 * what it needs, so one config can start a hundred VMs.
 *
 * Setters copy strings and check their own value at once. What depends on
 * several of them, on files or on the host is checked by the boot, which
 * fails with FCSNAP_ECONFIG, FCSNAP_ENOENT, FCSNAP_EACCES or
 * FCSNAP_ERESOURCE. Relative paths are relative to the working directory at
 * the time of the call that sets them.
 *
 * A config may be used from any thread, but not while another changes it.
 * @{
 */

/** Description of a VM to boot. */
typedef struct fcsnap_config fcsnap_config;

/** Flags of fcsnap_config_add_drive(). */
enum {
    FCSNAP_DRIVE_ROOT = 1,      /**< The guest's root file system. */
    FCSNAP_DRIVE_READ_ONLY = 2, /**< The guest cannot write. */
};

/** Sizes of page for fcsnap_config_set_huge_pages(). */
enum {
    FCSNAP_HUGE_PAGES_NONE = 0, /**< Pages of 4 KiB. */
    FCSNAP_HUGE_PAGES_2M = 1,   /**< Pages of 2 MiB, from the host's pool. */
};

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Make a config with one vCPU, 128 MiB and a vsock device.
 *
 * @param[out] out  Caller owns; fcsnap_config_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p out is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_new(fcsnap_config **out);

/**
 * Free a config. VMs that it started go on.
 *
 * @param[in] config  What fcsnap_config_new() made. NULL is a no-op.
 *
 * @threadsafe Any thread, if no other uses the config.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_config_free(fcsnap_config *config);

/**
 * Set the kernel, which every VM needs.
 *
 * @param[in] config  Borrowed.
 * @param[in] path    An uncompressed ELF image (vmlinux). Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the path empty or not UTF-8.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @retval FCSNAP_ESYSTEM The working directory cannot be determined.
 * @retval FCSNAP_ENOENT  The working directory was deleted.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_kernel(fcsnap_config *config, const char *path);

/**
 * Set the initial RAM disk.
 *
 * @param[in] config  Borrowed.
 * @param[in] path    Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the path empty or not UTF-8.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @retval FCSNAP_ESYSTEM The working directory cannot be determined.
 * @retval FCSNAP_ENOENT  The working directory was deleted.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_initrd(fcsnap_config *config, const char *path);

/**
 * Set the kernel's command line, in place of Firecracker's own.
 *
 * @param[in] config  Borrowed.
 * @param[in] text    Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the text not UTF-8.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_boot_args(fcsnap_config *config, const char *text);

/**
 * Set the number of vCPUs.
 *
 * @param[in] config  Borrowed.
 * @param[in] vcpus   1 to 32; with SMT, 1 or even.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or the number out of range.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_vcpus(fcsnap_config *config, uint32_t vcpus);

/**
 * Set the size of the guest's memory.
 *
 * @param[in] config   Borrowed.
 * @param[in] mem_mib  MiB, 1 to 16777216; with huge pages, even.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or the number out of range.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_mem_mib(fcsnap_config *config, uint64_t mem_mib);

/**
 * Show the guest two threads for each core, or one (the default).
 *
 * @param[in] config  Borrowed.
 * @param[in] on      0 or 1.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or @p on neither 0 nor 1.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_smt(fcsnap_config *config, int32_t on);

/**
 * Have KVM note which pages the guest writes.
 *
 * Small snapshots need it. It is on unless huge pages are: with it, KVM maps
 * those as pages of 4 KiB.
 *
 * @param[in] config  Borrowed.
 * @param[in] on      0 or 1.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or @p on neither 0 nor 1.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_track_dirty(fcsnap_config *config, int32_t on);

/**
 * Back the guest's memory with huge pages of the host's pool.
 *
 * @param[in] config  Borrowed.
 * @param[in] size    FCSNAP_HUGE_PAGES_NONE (the default) or
 *                    FCSNAP_HUGE_PAGES_2M.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or @p size unknown.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_huge_pages(fcsnap_config *config, uint32_t size);

/**
 * Hide differences between processors with one of Firecracker's templates.
 *
 * @param[in] config  Borrowed.
 * @param[in] name    "T2", "T2S", "T2CL", "T2A", "C3", "V1N1" or "None".
 *                    Copied. One of your own goes through
 *                    fcsnap_config_set_json(), section "cpu-config".
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the name unknown.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_cpu_template(fcsnap_config *config, const char *name);

/**
 * Add a drive. The guest sees them in the order in which they are added.
 *
 * @param[in] config  Borrowed.
 * @param[in] id      1 to 64 letters, digits and "_", not used yet. Copied.
 * @param[in] path    A file or block device. Copied.
 * @param[in] flags   FCSNAP_DRIVE_ROOT (for one of them), FCSNAP_DRIVE_READ_ONLY.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL or not valid, the id is used
 *                        already, or there is a root drive already.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @retval FCSNAP_ESYSTEM The working directory cannot be determined.
 * @retval FCSNAP_ENOENT  The working directory was deleted.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_add_drive(fcsnap_config *config, const char *id, const char *path,
                                           uint32_t flags);

/**
 * Add a network interface on a tap device of the host.
 *
 * @param[in] config    Borrowed.
 * @param[in] id        1 to 64 letters, digits and "_", not used yet. Copied.
 * @param[in] host_dev  Name of the tap device. Copied.
 * @param[in] mac       The guest's address, like "06:00:ac:10:00:02", or NULL:
 *                      Firecracker chooses. Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL or not valid, or the id is used
 *                        already.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_add_network(fcsnap_config *config, const char *id,
                                             const char *host_dev, const char *mac);

/**
 * Set the guest's vsock address, or leave the device out.
 *
 * Addresses of different VMs may be equal. Without the device the library
 * cannot talk to the guest.
 *
 * @param[in] config  Borrowed.
 * @param[in] cid     3 (the default) to 4294967295; 0 for no device.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or the number out of range.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_vsock_cid(fcsnap_config *config, uint32_t cid);

/**
 * Add a balloon device, or change it.
 *
 * @param[in] config            Borrowed.
 * @param[in] amount_mib        Memory to take from the guest at first, MiB.
 * @param[in] deflate_on_oom    0 or 1: give it back when the guest runs short.
 * @param[in] stats_interval_s  Seconds between statistics, up to 65535; 0 for
 *                              none, which cannot be changed later.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or a number out of range.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_balloon(fcsnap_config *config, uint32_t amount_mib,
                                             int32_t deflate_on_oom, uint32_t stats_interval_s);

/**
 * Give the guest a source of random numbers (virtio-rng), or take it away.
 *
 * @param[in] config  Borrowed.
 * @param[in] on      0 (the default) or 1.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or @p on neither 0 nor 1.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_entropy(fcsnap_config *config, int32_t on);

/**
 * Make a VM that outlives the program: see fcsnap_vm_attach().
 *
 * It is no part of the document of fcsnap_config_get_json().
 *
 * @param[in] config    Borrowed.
 * @param[in] detached  1 for a detached VM, 0 (the default) for one that ends with the program.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p config is NULL, or @p detached neither 0 nor 1.
 * @threadsafe Any thread, one at a time.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_detached(fcsnap_config *config, int32_t detached);

/**
 * Merge a document of Firecracker's --config-file into a config.
 *
 * Sections: boot-source, drives, machine-config, network-interfaces, vsock,
 * balloon, mmds-config, entropy, logger, metrics, cpu-config. What the
 * document names replaces what was set; a list replaces the whole list; null
 * stands for nothing. pmem, memory-hotplug and vhost-user drives are not
 * supported. Either the whole document is taken or nothing of it.
 *
 * "vsock.uds_path" is ignored: the library names the socket. "log_path" and
 * "metrics_path" that are relative lie in the private directory of the VM.
 * "cpu-config" is an object, or the path of a file that is read at once.
 *
 * @param[in] config  Borrowed.
 * @param[in] text    JSON, at most 1 MiB. Borrowed.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @retval FCSNAP_ECONFIG Not JSON, an unknown section or key, or a value that
 *                        is not valid; the text names it.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @retval FCSNAP_EACCES  The file of cpu-config cannot be read.
 * @retval FCSNAP_ENOENT  The file of cpu-config does not exist, or the
 *                        working directory was deleted.
 * @retval FCSNAP_ESYSTEM The working directory cannot be determined, or
 *                        reading failed.
 * @threadsafe Any thread, one at a time.
 * @blocks     While it reads the file of cpu-config.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_set_json(fcsnap_config *config, const char *text);

/**
 * A config as a document that fcsnap_config_set_json() takes.
 *
 * @param[in]  config  Borrowed.
 * @param[out] out     JSON text. Caller owns; fcsnap_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_config_get_json(const fcsnap_config *config, char **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
