/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_ERROR_H
#define FCSNAP_ERROR_H

#include <fcsnap/version.h>

/**
 * @defgroup libfcsnap_error errors of the library
 *
 * A function that can fail returns 0 or a negative code. The text of the
 * last failure in this thread says in one line what failed and on what. It
 * is not cleared by success: look at it only after a negative return.
 *
 * Each function lists its errors. Some hold for many, and are listed only
 * where there is more to say:
 *
 * - FCSNAP_ENOMEM and FCSNAP_ESYSTEM: the system gives no memory, thread or
 *   descriptor, or lacks libcurl. From any call.
 * - FCSNAP_EFORKED: this process is a child of the one that opened the host.
 *   From any call with a host, or with what belongs to one.
 * - Where FCSNAP_EVMM is listed: FCSNAP_ESTATE, FCSNAP_EACCES, FCSNAP_ENOMEM,
 *   FCSNAP_ENOSPC, FCSNAP_ENOENT or FCSNAP_EUNSUPPORTED, if that is why
 *   Firecracker refused; FCSNAP_EPROTO, if what it answered is not HTTP.
 * - Where FCSNAP_ESPAWN is listed: this, FCSNAP_EDIED, FCSNAP_EPROTO and
 *   FCSNAP_EUNSUPPORTED are also for the keeper of a VM that is to be detached.
 * - Where FCSNAP_EDIED is listed: the code that fcsnap_vm_fault() gives, if
 *   it was the library that killed the VM.
 * @{
 */

/**
 * Every error: name, value, text. Values never change; they are grouped in
 * tens: usage 10, state 20, system 30, time 40, Firecracker 50, guest 60,
 * snapshot 70, resources 80.
 */
#define FCSNAP_ERRORS(X)                                                                           \
    X(FCSNAP_EINVAL, -10, "an argument is not valid")                                              \
    X(FCSNAP_ECONFIG, -11, "the configuration of the VM is not valid")                             \
    X(FCSNAP_ESTATE, -20, "the object is in the wrong state for this call")                        \
    X(FCSNAP_ECLOSED, -21, "the object was closed")                                                \
    X(FCSNAP_EFORKED, -22, "the handle belongs to the parent of this process")                     \
    X(FCSNAP_ESYSTEM, -30, "a system call failed")                                                 \
    X(FCSNAP_ENOMEM, -31, "out of memory")                                                         \
    X(FCSNAP_EACCES, -32, "permission is missing")                                                 \
    X(FCSNAP_ENOSPC, -33, "no space left")                                                         \
    X(FCSNAP_ENOENT, -34, "not found")                                                             \
    X(FCSNAP_ETIMEDOUT, -40, "the time limit passed")                                              \
    X(FCSNAP_ECANCELED, -41, "canceled")                                                           \
    X(FCSNAP_EINPROGRESS, -42, "the operation goes on")                                            \
    X(FCSNAP_EVMM, -50, "Firecracker refused a request")                                           \
    X(FCSNAP_ESPAWN, -51, "Firecracker could not be started")                                      \
    X(FCSNAP_EDIED, -52, "Firecracker exited")                                                     \
    X(FCSNAP_EPROTO, -53, "an answer of Firecracker was not understood")                           \
    X(FCSNAP_EUNSUPPORTED, -54, "this release of Firecracker cannot do that")                      \
    X(FCSNAP_ERPC, -61, "the guest answered with an error")                                        \
    X(FCSNAP_EFRAME, -62, "the guest broke the framing of RPC")                                    \
    X(FCSNAP_ECONNLOST, -63, "the connection to the guest was lost")                               \
    X(FCSNAP_EREFUSED, -64, "the guest refused the connection")                                    \
    X(FCSNAP_ESNAPSHOT, -70, "the snapshot is malformed")                                          \
    X(FCSNAP_ECORRUPT, -71, "the snapshot is damaged")                                             \
    X(FCSNAP_EINCOMPATIBLE, -72, "the snapshot cannot be restored like this")                      \
    X(FCSNAP_ERESOURCE, -80, "the host has too little of a resource")                              \
    X(FCSNAP_EPAGER, -81, "a page of the guest could not be served")

/** Values of FCSNAP_ERRORS(). */
enum {
#define FCSNAP_ERROR_VALUE(name, value, text) name = (value),
    FCSNAP_ERRORS(FCSNAP_ERROR_VALUE)
#undef FCSNAP_ERROR_VALUE
};

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Text of the last failure in this thread.
 *
 * @return One line, starting with the name of the function that failed;
 *         empty if none failed yet. Static: valid until the next failure in
 *         this thread.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_last_error(void);

/**
 * Code of the last failure in this thread.
 *
 * @return A value of FCSNAP_ERRORS(), 0 if none failed yet.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_last_code(void);

/**
 * errno behind the last failure in this thread.
 *
 * @return An errno value, 0 if the failure did not come from a system call.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_last_errno(void);

/**
 * Name of an error code.
 *
 * @param[in] code  A value of FCSNAP_ERRORS() or 0.
 *
 * @return A name like "FCSNAP_ETIMEDOUT", "OK" for 0, "unknown" for any
 *         other value. Static.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_error_name(int32_t code);

/**
 * What an error code means, in general.
 *
 * @param[in] code  A value of FCSNAP_ERRORS() or 0.
 *
 * @return A short text. Static.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_error_text(int32_t code);

/**
 * Free a buffer that the library returned.
 *
 * @param[in] buffer  What a function documented as "free with fcsnap_free()"
 *                    returned. NULL is a no-op.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_free(void *buffer);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
