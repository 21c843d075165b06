/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_VSOCK_H
#define FCSNAP_VSOCK_H

#include <fcsnap/vm.h>

/**
 * @defgroup libfcsnap_vsock connections of your own protocol with the guest
 *
 * Plain stream sockets to ports of AF_VSOCK in the guest and from there, for
 * programs that bring gRPC, ttrpc or anything else; for calls to an agent see
 * rpc.h. All descriptors here block, are closed on exec, and are the caller's
 * own: they outlive the handle of the VM, and end when Firecracker does.
 *
 * A snapshot resets vsock, in the VM itself and in each clone, and so does a
 * resume on Firecracker 1.16.0 and 1.16.1: what was open is lost, and neither side is told before it sends something. Close such
 * descriptors, and connect again. There is no half-close: after shutdown(2) for
 * writing nothing can be read, either. Firecracker's own words on all this:
 * https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md
 * @{
 */

/** Until the limit, try again while nobody listens on the port, as when the guest boots. */
#define FCSNAP_VSOCK_WAIT 1u

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Connect to a port of the guest.
 *
 * Until the guest has taken the reset that a restore or a snapshot brings, it
 * accepts connections and then drops them without a word. So the first call
 * after either, or after a boot, asks for three ports above 2^31 that nobody
 * should listen on, one after the other: the first refusal shows that the guest
 * answers, the others that it has taken the reset, whatever it was doing when it
 * was captured. Then the port itself is asked. No program in the guest hears of
 * this; one that happens to listen there gets a connection that is closed at once.
 * Each run of the tests makes 102 first connections to a Linux guest with one
 * CPU, and none may be cut. It cannot be proven for one whose CPUs wait long for
 * their turn, so a protocol that never waits for an answer should do so once.
 *
 * A refusal by the port is an error once it was repeated, after some 20 ms: nobody
 * listens there, or whoever does has too many connections waiting. A guest whose
 * driver is not up yet answers nothing, which is waited for in any case.
 *
 * @param[in]  vm          A VM that runs. Borrowed.
 * @param[in]  port        Port in the guest, 1 to 2^32-2.
 * @param[in]  flags       FCSNAP_VSOCK_WAIT or 0.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; close(). -1 on failure.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL, the port out of range, or a flag unknown.
 * @retval FCSNAP_EREFUSED   Nobody listens on the port.
 * @retval FCSNAP_EDIED      The VM has exited; the text quotes its last line.
 * @retval FCSNAP_ESTATE     The VM is paused, or has no vsock device.
 * @retval FCSNAP_EPROTO     Firecracker's answer on its vsock socket was not understood.
 * @retval FCSNAP_ETIMEDOUT  The limit passed; the text says how far it came.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vsock_connect(fcsnap_vm *vm, uint32_t port, uint32_t flags,
                                        int64_t timeout_ms, int32_t *out);

/**
 * Begin to connect to a port of the guest: fcsnap_vsock_connect() without the wait.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  port        Port in the guest, 1 to 2^32-2.
 * @param[in]  flags       FCSNAP_VSOCK_WAIT or 0.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_fd(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL, the port out of range, or a flag unknown.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vsock_connect_start(fcsnap_vm *vm, uint32_t port, uint32_t flags,
                                              int64_t timeout_ms, fcsnap_op **out);

/**
 * Take the connection that an operation made.
 *
 * @param[in]  op   An operation of fcsnap_vsock_connect_start(). Borrowed.
 * @param[out] out  Caller owns; close(). -1 on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the operation makes no connection.
 * @retval FCSNAP_ESTATE  It has not ended, failed, or its connection was taken.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_take_fd(fcsnap_op *op, int32_t *out);

/**
 * Listen for connections that the guest makes to a port of the host (CID 2).
 *
 * The descriptor is a listening socket, for accept(2) and whatever serves one.
 * Before this call the guest's connections to the port are refused, and again
 * after the descriptor was closed. It goes on across a pause and a snapshot; each
 * clone has ports of its own, so listen again after a restore. Its file lies in
 * the directory of the VM, and goes with that.
 *
 * Firecracker connects from the thread that also serves its API. 4096 connections
 * may wait to be accepted, or net.core.somaxconn if that is less, and the guest
 * can hold 1023 open. A guest that fills the queue makes its Firecracker
 * stand still, and with it pauses, snapshots and all else that is asked of the VM,
 * until some are accepted, the descriptor is closed or the VM is killed. So accept
 * at once, and close what you do not want.
 *
 * @param[in]  vm    A VM. Borrowed.
 * @param[in]  port  Port of the host, 1 to 2^32-2.
 * @param[out] out   Caller owns; close(). -1 on failure.
 *
 * @retval 0                 Done.
 * @retval FCSNAP_EINVAL     An argument is NULL, or the port out of range.
 * @retval FCSNAP_ESTATE     Somebody listens on this port already, or the VM has no vsock device.
 * @retval FCSNAP_EDIED      The VM has exited.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread.
 * @blocks     For some system calls.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vsock_listen(fcsnap_vm *vm, uint32_t port, int32_t *out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
