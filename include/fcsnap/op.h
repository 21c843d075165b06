/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_OP_H
#define FCSNAP_OP_H

#include <fcsnap/host.h>

/**
 * @defgroup libfcsnap_op operations in flight
 *
 * Each long call exists twice: one that waits, and one that ends in _start
 * and returns an operation at once. The operation is waited for here, or its
 * end comes as an event; then a getter of the result's kind takes the result.
 * Only fcsnap_vm_wait(), fcsnap_rpc_next_notification() and fcsnap_host_close()
 * have no second form: the end of a VM and a notification are events by
 * themselves, and the end of a host has nobody to tell.
 * @{
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Wait for the end of an operation, and get its result.
 *
 * An operation that was waited for to its end gives no event any more.
 *
 * @param[in] op          Borrowed.
 * @param[in] timeout_ms  Limit for this wait, milliseconds; -1 waits for ever, 0 only looks.
 *
 * @retval 0                   It ended well.
 * @retval FCSNAP_EINVAL       The operation is NULL.
 * @retval FCSNAP_EINPROGRESS  The limit of this wait passed; the operation goes on.
 * @retval FCSNAP_ETIMEDOUT    It ended because its own limit passed.
 * @retval other               How the operation failed, as the call that started it says.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_wait(fcsnap_op *op, int64_t timeout_ms);

/**
 * Ask an operation to end early.
 *
 * It ends with FCSNAP_ECANCELED, once what it began was undone; or with its
 * result, if that came first. What Firecracker is busy with in a pause, resume
 * or snapshot is undone behind it.
 *
 * @param[in] op  Borrowed. NULL is a no-op.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_op_cancel(fcsnap_op *op);

/**
 * Has the operation ended?
 *
 * @param[in] op  Borrowed.
 *
 * @return 1 if it has, 0 if it goes on or @p op is NULL.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_ended(fcsnap_op *op);

/**
 * Number of an operation, as events name it.
 *
 * @param[in] op  Borrowed.
 *
 * @return A number that no other object of the host has; 0 if @p op is NULL.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API uint64_t fcsnap_op_number(const fcsnap_op *op);

/**
 * Give up an operation. One that has not ended is canceled, and what it
 * would have given, or gave to nobody, is freed: a VM ends, a detached one, too.
 *
 * @param[in] op  Freed. NULL is a no-op.
 *
 * @threadsafe Not while another thread uses the operation.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_op_free(fcsnap_op *op);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
