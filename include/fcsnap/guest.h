/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_GUEST_H
#define FCSNAP_GUEST_H

#include <fcsnap/exec.h>
#include <fcsnap/rpc.h>

/**
 * @defgroup libfcsnap_guest what fcsnap-agent does in a Linux guest
 *
 * Programs are run and files are moved by the agent that comes with the library,
 * over a channel that fcsnap_rpc_open() gave. The calls take that channel, not
 * the VM: it was proven once, so each of them costs a round trip and no more; any
 * number of them may be in flight on it, from any threads, beside calls of the
 * program's own; and its end is the end of what goes on in the guest for it:
 * programs are killed, half files are removed.
 *
 * A channel has one order of messages, so a program whose output nobody reads
 * (fcsnap_exec_options_set_output_fd()) holds up what comes behind it.
 * Give those that may do so a channel of their own.
 *
 * All of these end with FCSNAP_ECONNLOST when the channel is closed by a snapshot
 * of the VM, and are not begun anew: only the caller knows what may be done
 * twice.
 *
 * Codes that hold for all: FCSNAP_ERPC, when the agent answers with an error, which
 * the text quotes ("exec: error -32001: argv[0]: No such file or directory");
 * FCSNAP_EFRAME, when it answers what is not of its protocol, and FCSNAP_ENOMEM.
 * What else the agent can do is called with fcsnap_rpc_call(): see its README.
 * @{
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Ask the agent for a sign of life.
 *
 * @param[in] rpc         A channel. Borrowed.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0      It answered.
 * @retval other  As for fcsnap_rpc_call().
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_ping(fcsnap_rpc *rpc, int64_t timeout_ms);

/**
 * Begin to ask for a sign of life: fcsnap_guest_ping() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0      It began.
 * @retval other  As for fcsnap_rpc_call_start().
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_ping_start(fcsnap_rpc *rpc, int64_t timeout_ms, fcsnap_op **out);

/**
 * What the agent tells of the guest and of itself, as JSON.
 *
 * An object with "hostname", "kernel", "machine", "cpus", "boot_id", "vm_id",
 * "restores", "uptime_ms", "mem_bytes", "mem_available_bytes", "load" (3 numbers),
 * "version", "pid", "processes" and more. Members are only added.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; fcsnap_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @retval other          As for fcsnap_rpc_call().
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_info(fcsnap_rpc *rpc, int64_t timeout_ms, char **out);

/**
 * Begin to ask what the agent tells: fcsnap_guest_info() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_text(). NULL on failure.
 *
 * @retval 0      It began.
 * @retval other  As for fcsnap_rpc_call_start().
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_info_start(fcsnap_rpc *rpc, int64_t timeout_ms, fcsnap_op **out);

/**
 * Let the guest end itself, and wait until the VM is gone.
 *
 * Where the agent is the guest's init, processes get SIGTERM, and SIGKILL after
 * @p grace_ms; what was written is synced; then the guest reboots, at which
 * Firecracker exits. That takes a guest whose reboot ends it: Linux on x86 with
 * "reboot=k". As after fcsnap_vm_stop(), the VM is FCSNAP_VM_EXITED.
 *
 * @param[in] rpc         A channel. Borrowed.
 * @param[in] grace_ms    For the guest's processes, milliseconds, 0 to 60000.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 The VM is gone.
 * @retval FCSNAP_EINVAL     The channel is NULL, or the grace out of range.
 * @retval FCSNAP_ERPC       The agent refused.
 * @retval FCSNAP_ECONNLOST  The connection ended before the answer, and the VM goes on.
 * @retval FCSNAP_ETIMEDOUT  The limit passed, and the VM is still there: fcsnap_vm_stop().
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_shutdown(fcsnap_rpc *rpc, uint32_t grace_ms, int64_t timeout_ms);

/**
 * Begin to let the guest end itself: fcsnap_guest_shutdown() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  grace_ms    For the guest's processes, milliseconds, 0 to 60000.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL, or the grace out of range.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_shutdown_start(fcsnap_rpc *rpc, uint32_t grace_ms,
                                               int64_t timeout_ms, fcsnap_op **out);

/**
 * Run a program in the guest, and wait for its end.
 *
 * A program that fails is no failure of the call: its exit code is in the result.
 * If the call is canceled, its limit passes or the channel ends, the program is
 * killed, with all of its process group. One that shall outlive the call is started
 * with fcsnap_rpc_call() of "exec", "output" being "none" and "keep" true.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  options     What to run. Borrowed.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; fcsnap_exec_result_free(). NULL on failure.
 *
 * @retval 0                 It ended.
 * @retval FCSNAP_EINVAL     An argument is NULL, or the options name no program or are over 1 MiB.
 * @retval FCSNAP_ERPC       It could not be started; the text says why.
 * @retval FCSNAP_EFRAME     What the agent tells of it makes no sense.
 * @retval FCSNAP_ESYSTEM    What it wrote could not be written to a descriptor.
 * @retval FCSNAP_ECONNLOST  The connection ended, by a snapshot for one.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ETIMEDOUT  The limit passed.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_exec(fcsnap_rpc *rpc, const fcsnap_exec_options *options,
                                     int64_t timeout_ms, fcsnap_exec_result **out);

/**
 * Begin to run a program: fcsnap_guest_exec() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  options     What to run. Copied.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_exec(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_guest_exec().
 * @retval FCSNAP_ESYSTEM  A descriptor is not open.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_exec_start(fcsnap_rpc *rpc, const fcsnap_exec_options *options,
                                           int64_t timeout_ms, fcsnap_op **out);

/**
 * Take the result of a program that an operation ran.
 *
 * @param[in]  op   An operation of fcsnap_guest_exec_start(). Borrowed.
 * @param[out] out  Caller owns; fcsnap_exec_result_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the operation ran no program.
 * @retval FCSNAP_ESTATE  It has not ended, failed, or its result was taken.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_take_exec(fcsnap_op *op, fcsnap_exec_result **out);

/**
 * Copy a file to the guest.
 *
 * It is written beside its place and moved there when it is whole and on the disk:
 * there is the old file or the new one, never half of one. What is there already
 * must be a file. If the call is canceled, or its limit passes, before the last of it
 * was sent, the guest drops what it has; so it does when the channel ends.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  host_path   A file. Copied.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  mode        Of the file in the guest, up to 07777; 0: as on the host.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL, the path in the guest not absolute, the mode out of range,
 *                           or the file none.
 * @retval FCSNAP_ENOENT     There is no such file.
 * @retval FCSNAP_EACCES     It may not be read.
 * @retval FCSNAP_ESYSTEM    It could not be read.
 * @retval FCSNAP_ERPC       The guest has no place for it; the text quotes it.
 * @retval FCSNAP_EFRAME     What the agent answers makes no sense.
 * @retval FCSNAP_ECONNLOST  The connection ended, by a snapshot for one.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ETIMEDOUT  The limit passed.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_put(fcsnap_rpc *rpc, const char *host_path, const char *guest_path,
                                    uint32_t mode, int64_t timeout_ms);

/**
 * Begin to copy a file: fcsnap_guest_put() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  host_path   A file. Copied.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  mode        Of the file in the guest, up to 07777; 0: as on the host.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_guest_put().
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_put_start(fcsnap_rpc *rpc, const char *host_path,
                                          const char *guest_path, uint32_t mode, int64_t timeout_ms,
                                          fcsnap_op **out);

/**
 * Copy a file of a descriptor to the guest: as fcsnap_guest_put().
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  fd          A file, read from its beginning. Borrowed until the call returns.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  mode        Of the file in the guest, up to 07777; 0: as on the host.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL, the path in the guest not absolute, the mode out of range,
 *                           or the file none.
 * @retval FCSNAP_ESYSTEM    It could not be read.
 * @retval FCSNAP_ERPC       The guest has no place for it; the text quotes it.
 * @retval FCSNAP_EFRAME     What the agent answers makes no sense.
 * @retval FCSNAP_ECONNLOST  The connection ended, by a snapshot for one.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ETIMEDOUT  The limit passed.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_put_fd(fcsnap_rpc *rpc, int32_t fd, const char *guest_path,
                                       uint32_t mode, int64_t timeout_ms);

/**
 * Begin to copy a file: fcsnap_guest_put_fd() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  fd          A file, read from its beginning. Borrowed until the call returns.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  mode        Of the file in the guest, up to 07777; 0: as on the host.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_guest_put_fd().
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_put_fd_start(fcsnap_rpc *rpc, int32_t fd, const char *guest_path,
                                             uint32_t mode, int64_t timeout_ms, fcsnap_op **out);

/**
 * Copy a file from the guest.
 *
 * It is written beside its place and moved there when it is whole and on the disk:
 * there is the old file or the new one, never half of one. It gets the mode that it
 * has in the guest, as far as the umask allows and without set-user-id bits. On
 * failure nothing of it remains.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  host_path   A file, which is replaced, or nothing, which becomes one. Copied.
 * @param[in]  max_bytes   More is refused; 0 for no limit.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL, the path in the guest not absolute, or the
 *                           file on the host none.
 * @retval FCSNAP_ENOENT     Its directory is missing.
 * @retval FCSNAP_EACCES     It may not be written.
 * @retval FCSNAP_ENOSPC     No space is left, or the file is over @p max_bytes.
 * @retval FCSNAP_ESYSTEM    It could not be written.
 * @retval FCSNAP_ERPC       The guest has no such file, or cannot read it; the text quotes it.
 * @retval FCSNAP_EFRAME     What the agent answers makes no sense.
 * @retval FCSNAP_ECONNLOST  The connection ended, by a snapshot for one.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ETIMEDOUT  The limit passed.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_get(fcsnap_rpc *rpc, const char *guest_path, const char *host_path,
                                    uint64_t max_bytes, int64_t timeout_ms);

/**
 * Begin to copy a file: fcsnap_guest_get() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  host_path   A file, which is replaced, or nothing, which becomes one. Copied.
 * @param[in]  max_bytes   More is refused; 0 for no limit.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_guest_get().
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_get_start(fcsnap_rpc *rpc, const char *guest_path,
                                          const char *host_path, uint64_t max_bytes,
                                          int64_t timeout_ms, fcsnap_op **out);

/**
 * Copy a file from the guest into that of a descriptor, which is empty mostly, a memfd for one.
 *
 * On failure, what was written by then remains.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  fd          A file, written from its beginning. Borrowed until the call returns.
 * @param[in]  max_bytes   More is refused; 0 for no limit.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL, the path in the guest not absolute, or the
 *                           file on the host none.
 * @retval FCSNAP_ENOSPC     No space is left, or the file is over @p max_bytes.
 * @retval FCSNAP_ESYSTEM    It could not be written.
 * @retval FCSNAP_ERPC       The guest has no such file, or cannot read it; the text quotes it.
 * @retval FCSNAP_EFRAME     What the agent answers makes no sense.
 * @retval FCSNAP_ECONNLOST  The connection ended, by a snapshot for one.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ETIMEDOUT  The limit passed.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_get_fd(fcsnap_rpc *rpc, const char *guest_path, int32_t fd,
                                       uint64_t max_bytes, int64_t timeout_ms);

/**
 * Begin to copy a file: fcsnap_guest_get_fd() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  guest_path  Absolute. Copied.
 * @param[in]  fd          A file, written from its beginning. Borrowed until the call returns.
 * @param[in]  max_bytes   More is refused; 0 for no limit.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_guest_get_fd().
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_guest_get_fd_start(fcsnap_rpc *rpc, const char *guest_path, int32_t fd,
                                             uint64_t max_bytes, int64_t timeout_ms,
                                             fcsnap_op **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
