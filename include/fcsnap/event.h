/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_EVENT_H
#define FCSNAP_EVENT_H

#include <fcsnap/host.h>

/**
 * @defgroup libfcsnap_event what happens, by one descriptor
 *
 * A host has one queue of events for one consumer. It holds at most one entry for
 * each operation, VM and channel, so nothing is lost and nothing piles up.
 * Events are kept from the first call of fcsnap_host_event_fd() on.
 * @{
 */

/** Kinds of events. */
enum {
    FCSNAP_EVENT_OP_ENDED = 1,  /**< An operation ended: fcsnap_op_wait() does not wait. */
    FCSNAP_EVENT_VM_EXITED = 2, /**< A VM ended and its directory is gone: fcsnap_vm_wait(). */
    FCSNAP_EVENT_VM_FAULT = 4,  /**< A VM was killed since it could not go on: fcsnap_vm_fault(). */
    /** fcsnap_rpc_next_notification() has something, or says how the channel ended. */
    FCSNAP_EVENT_RPC_NOTIFIED = 8
};

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The descriptor that is readable while there are events.
 *
 * @param[in]  host  An open host. Borrowed.
 * @param[out] out   A descriptor for poll(), epoll and the like; the host's: neither read nor
 *                   close it. It lives until the host and all objects of it are freed.
 *
 * @retval 0               Done.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is not open.
 * @retval FCSNAP_ESYSTEM  No descriptor can be had.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_host_event_fd(fcsnap_host *host, int32_t *out);

/**
 * Take the oldest event.
 *
 * @param[in]  host    An open host. Borrowed.
 * @param[out] kind    One of the kinds of events; 0 if there is none.
 * @param[out] number  fcsnap_op_number(), fcsnap_vm_number() or fcsnap_rpc_number() of
 *                     what it is about.
 *
 * @retval 0              Done, whether or not there was one.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @retval FCSNAP_EFORKED The host belongs to the parent of this process.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_event_next(fcsnap_host *host, uint32_t *kind, uint64_t *number);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
