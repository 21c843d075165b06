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
 *
 * Any number of calls may be in flight on a channel, from any threads; answers
 * come in any order. A snapshot of the VM closes all its channels first: calls in
 * flight end with FCSNAP_ECONNLOST, and nothing is sent again by itself, so
 * what must not be done twice is not.
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
 * The first time after a restore, an agent that can is told so, before this
 * returns: see fcsnap_restore_options_set_renew().
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
 * @retval FCSNAP_ERPC       The agent could not make the clone a machine of its own.
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
 * @param[in]  op   An operation of fcsnap_rpc_call_start() or fcsnap_guest_info_start().
 *                  Borrowed.
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
 * Send a notification: a request that has no answer.
 *
 * @param[in] rpc         A channel. Borrowed.
 * @param[in] method      Name of the method. Copied.
 * @param[in] params      JSON object or array; NULL for none. Copied.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 All of it is on its way; whether the agent reads it is not known.
 * @retval FCSNAP_EINVAL     As for fcsnap_rpc_call().
 * @retval FCSNAP_EFRAME     The agent broke the protocol; the channel is closed.
 * @retval FCSNAP_ECONNLOST  The connection ended, by a snapshot for one.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ETIMEDOUT  The limit passed: the agent does not read. If the first byte was sent by
 *                           then, so are the others, later; else none ever is.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms, while the agent does not read what came before.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_rpc_notify(fcsnap_rpc *rpc, const char *method, const char *params,
                                     int64_t timeout_ms);

/**
 * Begin to send a notification: fcsnap_rpc_notify() without the wait.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  method      Name of the method. Copied.
 * @param[in]  params      JSON object or array; NULL for none. Copied.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_rpc_call().
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_rpc_notify_start(fcsnap_rpc *rpc, const char *method, const char *params,
                                           int64_t timeout_ms, fcsnap_op **out);

/**
 * Take the oldest notification of the agent.
 *
 * They are kept from the first call of this function on; those that came
 * before are dropped, so a program that never asks need not care. While more than
 * 1 MiB of them wait nothing is read from the connection, answers to calls
 * neither, and the agent has to wait: who has begun to ask must go on, or free the
 * channel. Nothing is lost or overtaken.
 *
 * A loop need not poll: FCSNAP_EVENT_RPC_NOTIFIED, with fcsnap_rpc_number(),
 * says when to call this with a limit of 0, again and again until it fails:
 * with FCSNAP_ETIMEDOUT when none is left, with anything else when the channel ended.
 *
 * @param[in]  rpc         A channel. Borrowed.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         The message, a JSON object with "method" and mostly "params", as the
 *                         agent wrote it; caller owns, fcsnap_free(). NULL on failure.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL.
 * @retval FCSNAP_ETIMEDOUT  There is none, or none came within the limit.
 * @retval FCSNAP_EFRAME     The agent broke the protocol; the channel is closed.
 * @retval FCSNAP_ECONNLOST  The connection ended, and all that came before has been taken.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread; each notification is given to one.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_rpc_next_notification(fcsnap_rpc *rpc, int64_t timeout_ms, char **out);

/**
 * Number of a channel, as events name it.
 *
 * @param[in] rpc  A channel. Borrowed.
 *
 * @return A number that no other object of the host has; 0 if @p rpc is NULL.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API uint64_t fcsnap_rpc_number(const fcsnap_rpc *rpc);

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
