/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_HOST_H
#define FCSNAP_HOST_H

#include <fcsnap/error.h>
#include <stddef.h>

/**
 * @defgroup libfcsnap_host one user of this machine
 *
 * A host holds the state directory, the Firecracker binary, the threads and
 * the queue of events. Make it, set what differs from the defaults, open it.
 * All other objects belong to one host.
 *
 * Limits are milliseconds, and for the whole of a call: -1 waits for ever, 0
 * does not wait. Below -1 a limit has passed already, so that what is left of
 * another one can be given as it is.
 * @{
 */

/** Levels of the log. */
enum {
    FCSNAP_LOG_OFF = 0,
    FCSNAP_LOG_ERROR = 1,
    FCSNAP_LOG_WARN = 2,
    FCSNAP_LOG_INFO = 3,
    FCSNAP_LOG_DEBUG = 4
};

/** One user of this machine. */
typedef struct fcsnap_host fcsnap_host;

/** A call in flight: see op.h. */
typedef struct fcsnap_op fcsnap_op;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Make a host that is not open yet.
 *
 * Reads FCSNAP_LOG: a level ("error", "warn", "info", "debug") from which on
 * messages go to standard error.
 *
 * @param[out] out  Caller owns; fcsnap_host_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p out is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_new(fcsnap_host **out);

/**
 * Set where VMs and snapshots lie on disk.
 *
 * The default is FCSNAP_STATE_DIR, else XDG_STATE_HOME/fcsnap, else
 * /var/lib/fcsnap for root and HOME/.local/state/fcsnap for others. Other
 * users must not be able to write to its directories "vm" and "snapshot".
 *
 * @param[in] host  A host that is not open. Borrowed.
 * @param[in] path  A directory; made with mode 0700 when missing. Copied.
 *
 * @retval 0               Done.
 * @retval FCSNAP_EINVAL   An argument is NULL, or the path is empty or not UTF-8.
 * @retval FCSNAP_ESTATE   The host was opened.
 * @retval FCSNAP_ENOENT   The path is relative, and the working directory was deleted.
 * @retval FCSNAP_ESYSTEM  The working directory cannot be determined.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Not while another thread uses the host.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_set_state_dir(fcsnap_host *host, const char *path);

/**
 * Set the Firecracker binary.
 *
 * The default is FCSNAP_FIRECRACKER, else "firecracker" on PATH, which
 * fcsnap_host_open() searches. Whether it can be executed is seen by the first
 * VM. A script in its place gets an empty environment, and must end in exec:
 * the process that was started is the one that is watched, served and killed.
 *
 * @param[in] host  A host that is not open. Borrowed.
 * @param[in] path  An executable file. Copied.
 *
 * @retval 0               Done.
 * @retval FCSNAP_EINVAL   An argument is NULL, or the path is empty.
 * @retval FCSNAP_ESTATE   The host was opened.
 * @retval FCSNAP_ENOENT   The path is relative, and the working directory was deleted.
 * @retval FCSNAP_ESYSTEM  The working directory cannot be determined.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Not while another thread uses the host.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_set_firecracker(fcsnap_host *host, const char *path);

/**
 * Set the keeper, the program "fcsnap-keeper" that is installed with the
 * library and that detached VMs need: see fcsnap_vm_attach().
 *
 * The default is FCSNAP_KEEPER, else "fcsnap-keeper" on PATH, which
 * fcsnap_host_open() searches. Whether it can be executed is seen by the first
 * detached VM.
 *
 * @param[in] host  A host that is not open. Borrowed.
 * @param[in] path  An executable file. Copied.
 *
 * @retval 0               Done.
 * @retval FCSNAP_EINVAL   An argument is NULL, or the path is empty.
 * @retval FCSNAP_ESTATE   The host was opened.
 * @retval FCSNAP_ENOENT   The path is relative, and the working directory was deleted.
 * @retval FCSNAP_ESYSTEM  The working directory cannot be determined.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Not while another thread uses the host.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_set_keeper(fcsnap_host *host, const char *path);

/**
 * Send the log to a descriptor.
 *
 * @param[in] host   A host that is not open. Borrowed.
 * @param[in] fd     An open descriptor; stays the caller's, and open as long as the host.
 * @param[in] level  FCSNAP_LOG_OFF to FCSNAP_LOG_DEBUG.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The host is NULL, the descriptor negative or the level unknown.
 * @retval FCSNAP_ESTATE  The host was opened.
 * @threadsafe Not while another thread uses the host.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_set_log_fd(fcsnap_host *host, int32_t fd, uint32_t level);

/** Takes one message of the log. Runs on any thread, and on several at once; must not call the
 * library. */
typedef void (*fcsnap_log_sink)(uint32_t level, const char *text, void *user_data);

/**
 * Send the log to a function.
 *
 * @param[in] host       A host that is not open. Borrowed.
 * @param[in] sink       Called with each message; the text is borrowed for the call.
 * @param[in] user_data  Passed on. The host's from now on.
 * @param[in] free_data  Called once with @p user_data when the host ends, or when another
 *                       log is set. May be NULL.
 * @param[in] level      FCSNAP_LOG_OFF to FCSNAP_LOG_DEBUG.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The host or the sink is NULL or the level unknown; @p free_data is
 *                        not called then.
 * @retval FCSNAP_ESTATE  The host was opened; @p free_data is not called then.
 * @threadsafe Not while another thread uses the host.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_set_log_sink(fcsnap_host *host, fcsnap_log_sink sink,
                                            void *user_data, void (*free_data)(void *user_data),
                                            uint32_t level);

/**
 * Open a host: make its directories and start its threads.
 *
 * Behind it begins what fcsnap_host_recover() does, for a minute at most; what
 * fails of it is only logged.
 *
 * @param[in] host  A host that is not open. Borrowed.
 *
 * @retval 0               Done.
 * @retval FCSNAP_EINVAL   The host is NULL, or the path of its state directory too long
 *                         or not UTF-8.
 * @retval FCSNAP_ESTATE   It is open, or was.
 * @retval FCSNAP_EACCES   The state directory cannot be made or written, or others can write
 *                         to what lies in it.
 * @retval FCSNAP_ENOENT   A directory above it was removed, or cannot be made; or no path was
 *                         set, and there is no HOME.
 * @retval FCSNAP_ENOSPC   No space is left for it.
 * @retval FCSNAP_ESYSTEM  A system call failed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Not while another thread uses the host.
 * @blocks     For some system calls.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_open(fcsnap_host *host);

/**
 * Remove from the state directory what programs left that were killed.
 *
 * That is: the directories of their VMs, with any process that runs in one
 * still; snapshots that they had not finished; and what is left of deleted
 * ones. Whatever belongs to a process that lives stays, also if that is this
 * one, or runs in another container. All that use a state directory must run on
 * one machine.
 *
 * fcsnap_host_open() begins the same behind, so most programs need not call
 * this: it is for who must know that it is done, or lets a host be open for long.
 *
 * @param[in] host        An open host. Borrowed.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done: nothing is left.
 * @retval FCSNAP_EINVAL     The host is NULL.
 * @retval FCSNAP_EACCES     Something of it is not ours to remove; the rest is gone.
 * @retval FCSNAP_ESYSTEM    A system call failed for something; the rest is gone.
 * @retval FCSNAP_ETIMEDOUT  The limit passed.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is not open.
 * @retval FCSNAP_EFORKED    The host belongs to the parent of this process.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_recover(fcsnap_host *host, int64_t timeout_ms);

/**
 * Begin to remove what programs left: fcsnap_host_recover() without the wait.
 *
 * @param[in]  host        An open host. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is not open.
 * @retval FCSNAP_EFORKED  The host belongs to the parent of this process.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_recover_start(fcsnap_host *host, int64_t timeout_ms,
                                             fcsnap_op **out);

/**
 * End everything of a host: cancel its operations, kill its VMs, remove
 * their directories, end its threads. Detached VMs are left to their keepers.
 *
 * Calls in other threads end with FCSNAP_ECANCELED. What hangs on the host
 * stays valid memory and answers FCSNAP_ECLOSED. A recovery that goes on
 * behind ends with the file that it is removing; the next host does the rest.
 *
 * @param[in] host        An open host. Borrowed.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done, or the host was not open.
 * @retval FCSNAP_EINVAL     The host is NULL.
 * @retval FCSNAP_EFORKED    The host belongs to the parent of this process.
 * @retval FCSNAP_ETIMEDOUT  Something lives still; the call may be repeated.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_close(fcsnap_host *host, int64_t timeout_ms);

/**
 * Give up a host.
 *
 * The last resort for destructors: an open host's VMs get SIGKILL, but for
 * detached ones, and it is closed behind, when the last object that belongs to
 * it was freed. Programs that end soon after should call fcsnap_host_close() first.
 *
 * @param[in] host  A host or NULL. Freed.
 *
 * @threadsafe Not while another thread uses the host itself.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_host_free(fcsnap_host *host);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
