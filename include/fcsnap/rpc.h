/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_RPC_H
#define FCSNAP_RPC_H

#include <fcsnap/vm.h>

/**
 * @defgroup libfcsnap_rpc calls to an agent in the guest
 *
 * JSON-RPC 2.0 (https://www.jsonrpc.org/specification) over vsock, in frames
 * of a 4-byte big-endian length and that many bytes of UTF-8. The guest
 * speaks first, with the notification "hello".
 *
 * A channel is handed out only when a call that was sent after "hello" was
 * answered: after a restore, a connection may be accepted and then be cut by
 * the guest without a word, and neither Firecracker's "OK" nor "hello" shows
 * it. That call is a "ping"; a connection without "hello" is sent one too, as it
 * shows its end only then. What a caller sends goes over a proven channel only, once.
 * @{
 */

/** The port that agents listen on. */
#define FCSNAP_RPC_PORT 5252

/** A channel to an agent. */
typedef struct fcsnap_rpc fcsnap_rpc;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Connect to an agent; wait for the guest to be ready if need be.
 *
 * @param[in]  vm          A VM that runs. Borrowed.
 * @param[in]  port        Port in the guest, 1 to 2^32-2.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; fcsnap_rpc_free(). NULL on failure.
 *
 * @retval 0                 Done: an agent answered.
 * @retval FCSNAP_EINVAL     An argument is NULL, or the port out of range.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ESTATE     The VM is paused, or has no vsock device.
 * @retval FCSNAP_EFRAME     What answers there does not speak this protocol.
 * @retval FCSNAP_EPROTO     Firecracker's answer on its vsock socket was not understood.
 * @retval FCSNAP_ETIMEDOUT  The limit passed; the text says how far it came.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_rpc_open(fcsnap_vm *vm, uint32_t port, int64_t timeout_ms,
                                   fcsnap_rpc **out);

/**
 * Begin to connect to an agent: fcsnap_rpc_open() without the wait.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  port        Port in the guest, 1 to 2^32-2.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_rpc(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL, or the port out of range.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_rpc_open_start(fcsnap_vm *vm, uint32_t port, int64_t timeout_ms,
                                         fcsnap_op **out);

/**
 * Take the channel that an operation made.
 *
 * @param[in]  op   An operation of fcsnap_rpc_open_start(). Borrowed.
 * @param[out] out  Caller owns; fcsnap_rpc_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the operation makes no channel.
 * @retval FCSNAP_ESTATE  It has not ended, failed, or its channel was taken.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_take_rpc(fcsnap_op *op, fcsnap_rpc **out);

/**
 * Call a method of the agent and wait for its result.
 *
 * Several calls may be in flight at once. One that is given up is still
 * worked on by the guest; its late answer is dropped.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  method      Name of the method. Copied.
 * @param[in]  params      JSON object or array; NULL for none. Copied.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] result      JSON of the result, as the agent wrote it and checked to be JSON and
 *                         UTF-8; caller owns, fcsnap_free(). NULL on failure. May be NULL.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     The channel or method is NULL, the parameters are no JSON object or
 *                           array, or the request is over 16 MiB.
 * @retval FCSNAP_ERPC       The agent answered with an error; the text quotes it.
 * @retval FCSNAP_EFRAME     The agent broke the protocol; the channel is closed.
 * @retval FCSNAP_ECONNLOST  The connection ended, by a snapshot for one. Whether the call took
 *                           effect is not known.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ETIMEDOUT  The limit passed. Whether the call took effect is not known.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_rpc_call(fcsnap_rpc *rpc, const char *method, const char *params,
                                   int64_t timeout_ms, char **result);

/**
 * Begin a call: fcsnap_rpc_call() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  method      Name of the method. Copied.
 * @param[in]  params      JSON object or array; NULL for none. Copied.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_text(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_rpc_call().
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_rpc_call_start(fcsnap_rpc *rpc, const char *method, const char *params,
                                         int64_t timeout_ms, fcsnap_op **out);

/**
 * Take the text that an operation gave: the result of a call.
 *
 * @param[in]  op   An operation of fcsnap_rpc_call_start(). Borrowed.
 * @param[out] out  Caller owns; fcsnap_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the operation gives no text.
 * @retval FCSNAP_ESTATE  It has not ended, failed, or its text was taken.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_take_text(fcsnap_op *op, char **out);

/**
 * What the agent said in its "hello", as JSON.
 *
 * @param[in] rpc  A channel. Borrowed.
 *
 * @return The parameters of "hello", living as long as the handle; NULL if @p rpc is.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_rpc_hello(const fcsnap_rpc *rpc);

/**
 * Close a channel. Calls in flight end with FCSNAP_ECONNLOST.
 *
 * @param[in] rpc  Freed. NULL is a no-op.
 *
 * @threadsafe Not while another thread uses the channel.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_rpc_free(fcsnap_rpc *rpc);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
