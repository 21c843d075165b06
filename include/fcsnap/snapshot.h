/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_SNAPSHOT_H
#define FCSNAP_SNAPSHOT_H

#include <fcsnap/vm.h>

/**
 * @defgroup libfcsnap_snapshot snapshots of microVMs
 *
 * A snapshot is a directory that is whole or absent, and is never changed.
 * Any number of VMs can be restored from it, at once.
 * @{
 */

/** How a restored VM gets its memory. */
enum {
    FCSNAP_MEMORY_FILE = 1,  /**< Firecracker maps the image: clones share the page cache. */
    FCSNAP_MEMORY_LAZY = 2,  /**< Pages are served when the guest touches them. */
    FCSNAP_MEMORY_EAGER = 3, /**< All pages are copied before the restore returns. */
    /** LAZY where Firecracker's user can have a userfaultfd, else FILE; huge pages are LAZY. */
    FCSNAP_MEMORY_AUTO = 4
};

/** How a restored guest is made a machine of its own: fcsnap_restore_options_set_renew(). */
enum { FCSNAP_RENEW_REQUIRE = 1, FCSNAP_RENEW_TRY = 2, FCSNAP_RENEW_OFF = 3 };

/** One snapshot on disk. */
typedef struct fcsnap_snapshot fcsnap_snapshot;

/** How to restore. */
typedef struct fcsnap_restore_options fcsnap_restore_options;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Take a snapshot of a VM.
 *
 * A running VM is paused and resumed; a paused one stays paused. All vsock
 * connections of the VM are reset, those of other programs too. On failure
 * nothing remains on disk; if the limit passed while Firecracker was writing,
 * that holds, and the VM goes on, once it is done.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; fcsnap_snapshot_free(). NULL on failure.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL.
 * @retval FCSNAP_EDIED      The VM has exited, before or meanwhile.
 * @retval FCSNAP_EVMM       Firecracker refused; the VM goes on as it was.
 * @retval FCSNAP_EPROTO     What it answered is not HTTP.
 * @retval FCSNAP_ECORRUPT   What it wrote is not the whole memory, or the file that the VM runs
 *                           from was changed; the VM goes on as it was, if it can.
 * @retval FCSNAP_ENOSPC     The disk is full; the VM goes on as it was.
 * @retval FCSNAP_EACCES     A file may not be written; the VM goes on as it was.
 * @retval FCSNAP_ESYSTEM    A file could not be written; the VM goes on as it was.
 * @retval FCSNAP_ETIMEDOUT  The limit passed; the VM goes on as it was, if Firecracker answers.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread; calls on one VM run one at a time.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_snapshot_create(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_snapshot **out);

/**
 * Begin to take a snapshot: fcsnap_snapshot_create() without the wait.
 *
 * Canceled while Firecracker writes, it ends when that is done: the VM then
 * goes on as it was, and nothing remains on disk.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_snapshot(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_snapshot_create_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out);

/**
 * Take the snapshot that an operation made.
 *
 * @param[in]  op   An operation of fcsnap_snapshot_create_start(). Borrowed.
 * @param[out] out  Caller owns; fcsnap_snapshot_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the operation makes no snapshot.
 * @retval FCSNAP_ESTATE  It has not ended, failed, or its snapshot was taken.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_take_snapshot(fcsnap_op *op, fcsnap_snapshot **out);

/**
 * Open a snapshot of the host's state directory, or any other.
 *
 * Reads and checks its manifest; its other files are checked by a restore
 * (without the memory) and by fcsnap_snapshot_verify().
 *
 * @param[in]  host  An open host. Borrowed.
 * @param[in]  name  The id of a snapshot, or the path of its directory (with a "/"). Copied.
 * @param[out] out   Caller owns; fcsnap_snapshot_free(). NULL on failure.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL, or the name neither an id nor a path.
 * @retval FCSNAP_ENOENT     There is no such snapshot.
 * @retval FCSNAP_EACCES     It may not be read.
 * @retval FCSNAP_ESNAPSHOT  Its manifest is malformed, or it is being written or removed.
 * @retval FCSNAP_ECORRUPT   Its manifest is damaged.
 * @retval FCSNAP_ECLOSED    The host is not open.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     To read a file.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_snapshot_open(fcsnap_host *host, const char *name, fcsnap_snapshot **out);

/**
 * Read a snapshot whole and compare it with its checksums.
 *
 * @param[in] snapshot    A snapshot. Borrowed.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 It is whole.
 * @retval FCSNAP_EINVAL     The snapshot is NULL.
 * @retval FCSNAP_ESNAPSHOT  A file is missing or malformed.
 * @retval FCSNAP_ECORRUPT   A file is damaged; the text names it and the first bad block.
 * @retval FCSNAP_EACCES     A file may not be read.
 * @retval FCSNAP_ETIMEDOUT  The limit passed.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_snapshot_verify(fcsnap_snapshot *snapshot, int64_t timeout_ms);

/**
 * Begin to read a snapshot whole: fcsnap_snapshot_verify() without the wait.
 *
 * @param[in]  snapshot    A snapshot. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_EFORKED  The host belongs to the parent of this process.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_snapshot_verify_start(fcsnap_snapshot *snapshot, int64_t timeout_ms,
                                                fcsnap_op **out);

/**
 * Id of a snapshot: the name of its directory.
 *
 * @param[in] snapshot  A snapshot. Borrowed.
 *
 * @return A UUID, living as long as the handle; NULL if @p snapshot is.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_snapshot_id(const fcsnap_snapshot *snapshot);

/**
 * Directory of a snapshot.
 *
 * @param[in] snapshot  A snapshot. Borrowed.
 *
 * @return An absolute path, living as long as the handle; NULL if @p snapshot is.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_snapshot_path(const fcsnap_snapshot *snapshot);

/**
 * What a snapshot is, as JSON: its manifest.
 *
 * An object with "schema" 1, "id", "created" (UTC, as of RFC 3339),
 * "firecracker" ("version"), "arch", "cpu" ("vendor", "model"), "host_kernel",
 * "machine" ("vcpu_count", "mem_size_mib", "page_size" in bytes,
 * "track_dirty"), "drives" (of each "id", "path", "read_only", "root") and
 * "config" (the machine, as for Firecracker's --config-file; its
 * "path_on_host" is only a name for the "path" above). Members are only added;
 * others that are there belong to the library.
 *
 * @param[in]  snapshot  A snapshot. Borrowed.
 * @param[out] out       Caller owns; fcsnap_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_snapshot_info(const fcsnap_snapshot *snapshot, char **out);

/**
 * Delete a snapshot from disk.
 *
 * VMs that were restored from it live on. The handle stays valid, but
 * nothing can be restored from it.
 *
 * @param[in] snapshot  A snapshot in the host's state directory. Borrowed.
 *
 * @retval 0               Done, or it was deleted before.
 * @retval FCSNAP_EINVAL   The snapshot is NULL, or lies elsewhere.
 * @retval FCSNAP_ESYSTEM  A file could not be removed.
 * @retval FCSNAP_EACCES   A file may not be removed.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @threadsafe Any thread.
 * @blocks     To remove files.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_snapshot_delete(fcsnap_snapshot *snapshot);

/**
 * Give up the handle of a snapshot. The snapshot stays on disk.
 *
 * @param[in] snapshot  Freed. NULL is a no-op.
 *
 * @threadsafe Not while another thread uses the handle.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_snapshot_free(fcsnap_snapshot *snapshot);

/**
 * Make options for a restore: memory as it can be had, nothing verified beforehand,
 * dirty pages tracked where that costs nothing, running.
 *
 * @param[out] out  Caller owns; fcsnap_restore_options_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p out is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_restore_options_new(fcsnap_restore_options **out);

/**
 * Set how the VM gets its memory.
 *
 * FCSNAP_MEMORY_LAZY and FCSNAP_MEMORY_EAGER need access to /dev/userfaultfd;
 * where there is no such device, CAP_SYS_PTRACE or 1 in the setting
 * vm.unprivileged_userfaultfd. fcsnap_vm_info() tells what FCSNAP_MEMORY_AUTO became.
 *
 * A VM runs from the memory file of its snapshot, which nobody may write to.
 * If it shrinks, is written to or cannot be read, then a lazy VM is killed
 * before it is given such a page, and fcsnap_vm_fault() says why. One that maps
 * the file sees what was written, and ends when it needs what is gone; an
 * eager one has all of its memory already.
 *
 * @param[in] options  Borrowed.
 * @param[in] memory   FCSNAP_MEMORY_AUTO (the default), FCSNAP_MEMORY_FILE,
 *                     FCSNAP_MEMORY_LAZY or FCSNAP_MEMORY_EAGER.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL or the mode is unknown.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_restore_options_set_memory(fcsnap_restore_options *options,
                                                     uint32_t memory);

/**
 * Compare the whole memory image with its checksums before the restore.
 *
 * @param[in] options  Borrowed.
 * @param[in] verify   1 to compare, 0 (the default) not to.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or @p verify is neither 0 nor 1.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_restore_options_set_verify(fcsnap_restore_options *options,
                                                     int32_t verify);

/**
 * Leave the restored VM paused.
 *
 * @param[in] options  Borrowed.
 * @param[in] paused   1 to leave it paused, 0 (the default) to let it run.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or @p paused is neither 0 nor 1.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_restore_options_set_paused(fcsnap_restore_options *options,
                                                     int32_t paused);

/**
 * Set how a restored guest is made a machine of its own.
 *
 * All clones of a snapshot begin with the same clock, the same state of the
 * kernel's random numbers and the same identity. So the first channel that is
 * opened to an agent whose "hello" lists "restored" among its features calls
 * that before fcsnap_rpc_open() returns, with the time, random bytes for the
 * kernel's pool, and the id of the VM; see fcsnap-agent. What the guest
 * runs between the restore and that call still has what its siblings have:
 * that is its own programs, and what else reaches it by other ways than a
 * channel. A call that comes after it does not.
 *
 * @param[in] options  Borrowed.
 * @param[in] renew    FCSNAP_RENEW_REQUIRE (the default): fcsnap_rpc_open() fails with what the
 *                     agent said if it cannot; FCSNAP_RENEW_TRY: that is only logged;
 *                     FCSNAP_RENEW_OFF: the agent is not called.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or @p renew is none of these.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_restore_options_set_renew(fcsnap_restore_options *options,
                                                    uint32_t renew);

/**
 * Restore a VM that outlives the program: see fcsnap_vm_attach().
 *
 * @param[in] options   Borrowed.
 * @param[in] detached  1 for a detached VM, 0 (the default) for one that ends with the program.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or @p detached is neither 0 nor 1.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_restore_options_set_detached(fcsnap_restore_options *options,
                                                       int32_t detached);

/**
 * Give up options.
 *
 * @param[in] options  Freed. NULL is a no-op.
 *
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_restore_options_free(fcsnap_restore_options *options);

/**
 * Restore a VM from a snapshot.
 *
 * Returns when the guest runs (or is paused, if so asked). Its vsock
 * connections of before are gone: open new ones.
 *
 * @param[in]  snapshot    A snapshot. Borrowed.
 * @param[in]  options     How; NULL for the defaults. Borrowed.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; fcsnap_vm_free(). NULL on failure.
 *
 * @retval 0                     Done.
 * @retval FCSNAP_EINVAL         An argument is NULL.
 * @retval FCSNAP_ENOENT         A disk of the VM, or /dev/kvm, is missing.
 * @retval FCSNAP_EACCES         A file, the state directory, /dev/kvm or userfaultfd cannot be
 *                               used; of the last two the text says which right is missing.
 * @retval FCSNAP_ESNAPSHOT      A file of the snapshot is missing or malformed, or its directory
 *                               was moved.
 * @retval FCSNAP_ECORRUPT       A file of the snapshot is damaged.
 * @retval FCSNAP_EINCOMPATIBLE  Huge pages cannot be mapped from a file; or this Firecracker or
 *                               machine cannot load the snapshot.
 * @retval FCSNAP_ENOSPC         No space is left in the state directory.
 * @retval FCSNAP_ERESOURCE      The host has too few huge pages.
 * @retval FCSNAP_ESPAWN         Firecracker is missing or cannot be started.
 * @retval FCSNAP_EPROTO         What was started does not speak Firecracker's API.
 * @retval FCSNAP_EUNSUPPORTED   This release of Firecracker is too old.
 * @retval FCSNAP_EVMM           Firecracker refused a request; the text quotes it.
 * @retval FCSNAP_EDIED          Firecracker exited; the text quotes its last line.
 * @retval FCSNAP_EPAGER         A page could not be served.
 * @retval FCSNAP_ESYSTEM        A system call failed, or libcurl cannot be loaded.
 * @retval FCSNAP_ETIMEDOUT      The limit passed.
 * @retval FCSNAP_ECANCELED      The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED        The host is closed.
 * @retval FCSNAP_ENOMEM         Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms, and until a process that is given up is gone.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_restore(fcsnap_snapshot *snapshot,
                                     const fcsnap_restore_options *options, int64_t timeout_ms,
                                     fcsnap_vm **out);

/**
 * Begin to restore a VM: fcsnap_vm_restore() without the wait.
 *
 * @param[in]  snapshot    A snapshot. Borrowed.
 * @param[in]  options     How; NULL for the defaults. Copied.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_vm(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_restore_start(fcsnap_snapshot *snapshot,
                                           const fcsnap_restore_options *options,
                                           int64_t timeout_ms, fcsnap_op **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
