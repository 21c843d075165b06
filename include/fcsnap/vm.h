/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_VM_H
#define FCSNAP_VM_H

#include <fcsnap/config.h>
#include <fcsnap/op.h>

/**
 * @defgroup libfcsnap_vm one microVM and its Firecracker process
 *
 * A VM is bound to the program: the kernel kills Firecracker when the
 * program ends, however it ends. One that was made detached is not: see
 * fcsnap_vm_attach().
 *
 * Calls that change a VM run one at a time; waiting for the call before
 * counts against the limit. A limit that passes while Firecracker works on
 * boot or restore ends the VM that was to be. When it passes during a pause,
 * resume or snapshot, the call returns, and behind it Firecracker's answer is
 * awaited and the VM gets the state that it had before; the calls after it
 * wait for that. A Firecracker that gives no answer for 10 seconds, and 10 ms
 * more for each MiB of memory, is killed: see fcsnap_vm_fault().
 * @{
 */

/** States of a VM. */
enum { FCSNAP_VM_RUNNING = 1, FCSNAP_VM_PAUSED = 2, FCSNAP_VM_EXITED = 3 };

/** One microVM. */
typedef struct fcsnap_vm fcsnap_vm;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Boot a VM.
 *
 * Returns when Firecracker has started the guest's kernel; the guest is
 * ready when fcsnap_rpc_open() succeeds.
 *
 * @param[in]  host        An open host. Borrowed.
 * @param[in]  config      What to boot. Borrowed: one config can boot many VMs.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; fcsnap_vm_free(). NULL on failure.
 *
 * @retval 0                    Done: the VM runs.
 * @retval FCSNAP_EINVAL        An argument is NULL.
 * @retval FCSNAP_ECONFIG       The configuration contradicts itself, or the kernel is none.
 * @retval FCSNAP_ENOENT        A file of the configuration, or /dev/kvm, is missing.
 * @retval FCSNAP_EACCES        A file, the state directory or /dev/kvm cannot be used.
 * @retval FCSNAP_ENOSPC        No space is left in the state directory.
 * @retval FCSNAP_ERESOURCE     The host has too little memory or too few huge pages.
 * @retval FCSNAP_ESPAWN        Firecracker is missing or cannot be started.
 * @retval FCSNAP_EPROTO        What was started does not speak Firecracker's API.
 * @retval FCSNAP_EUNSUPPORTED  This release of Firecracker is too old, or too old for a setting.
 * @retval FCSNAP_EVMM          Firecracker refused a request; the text quotes it.
 * @retval FCSNAP_EDIED         Firecracker exited; the text quotes its last line.
 * @retval FCSNAP_ESYSTEM       A system call failed, or libcurl cannot be loaded.
 * @retval FCSNAP_ETIMEDOUT     The limit passed.
 * @retval FCSNAP_ECANCELED     The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED       The host is not open.
 * @retval FCSNAP_ENOMEM        Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms, and until a process that is given up is gone.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_boot(fcsnap_host *host, const fcsnap_config *config,
                                  int64_t timeout_ms, fcsnap_vm **out);

/**
 * Begin to boot a VM: fcsnap_vm_boot() without the wait.
 *
 * @param[in]  host        An open host. Borrowed.
 * @param[in]  config      What to boot. Copied.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_vm(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is not open.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_boot_start(fcsnap_host *host, const fcsnap_config *config,
                                        int64_t timeout_ms, fcsnap_op **out);

/**
 * Take over a detached VM.
 *
 * A VM that was made with fcsnap_config_set_detached() or
 * fcsnap_restore_options_set_detached() has a process of its own, its keeper,
 * which starts Firecracker, serves its memory and waits for its end. It is
 * detached from when the call that makes it has succeeded: from then on it
 * goes on when the program frees the handle, closes the host or ends; what
 * the program does with it while it has the handle, also stopping it, is the
 * same as with any VM. One program has it at a time; another one waits here
 * until that leaves. The next snapshot after this call holds all of the
 * memory.
 *
 * A VM that ended while no program had it can be attached once: it is
 * FCSNAP_VM_EXITED, and fcsnap_vm_wait() gives its exit code. If its keeper is
 * killed the VM ends too, and fcsnap_host_recover() removes what is left.
 *
 * A program that dies during a call on a VM may leave it in the middle: one
 * that was being captured is FCSNAP_VM_PAUSED for who attaches next. A VM that
 * it killed waits, as one that ended, for who asks for its exit code.
 *
 * @param[in]  host        An open host with the same state directory. Borrowed.
 * @param[in]  id          As fcsnap_vm_id() gave it. Copied.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] out         Caller owns; fcsnap_vm_free(). NULL on failure.
 *
 * @retval 0                    Done.
 * @retval FCSNAP_EINVAL        An argument is NULL, or the id is no UUID.
 * @retval FCSNAP_ENOENT        There is no such VM.
 * @retval FCSNAP_ESTATE        The VM is not detached, its keeper is gone, or the file that tells
 *                              of it is malformed.
 * @retval FCSNAP_EACCES        Its directory may not be read.
 * @retval FCSNAP_EPROTO        What answered is no keeper, or not Firecracker.
 * @retval FCSNAP_EUNSUPPORTED  The keeper is of another, incompatible release of the library.
 * @retval FCSNAP_EVMM          Firecracker refused a request.
 * @retval FCSNAP_ESYSTEM       A system call failed, or libcurl cannot be loaded.
 * @retval FCSNAP_ETIMEDOUT     The limit passed: another program has it, or it does not answer.
 * @retval FCSNAP_ECANCELED     The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED       The host is not open.
 * @retval FCSNAP_ENOMEM        Out of memory.
 * @threadsafe Any thread.
 * @blocks     Up to @p timeout_ms, and until the keeper of a VM that is given up has seen it.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_attach(fcsnap_host *host, const char *id, int64_t timeout_ms,
                                    fcsnap_vm **out);

/**
 * Begin to take over a detached VM: fcsnap_vm_attach() without the wait.
 *
 * @param[in]  host        An open host. Borrowed.
 * @param[in]  id          As for fcsnap_vm_attach(). Copied.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_vm(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL, or the id is no UUID.
 * @retval FCSNAP_ECLOSED  The host is not open.
 * @retval FCSNAP_EFORKED  The host belongs to the parent of this process.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_attach_start(fcsnap_host *host, const char *id, int64_t timeout_ms,
                                          fcsnap_op **out);

/**
 * Take the VM that an operation made.
 *
 * @param[in]  op   An operation of fcsnap_vm_boot_start(), fcsnap_vm_restore_start() or
 *                  fcsnap_vm_attach_start(). Borrowed.
 * @param[out] out  Caller owns; fcsnap_vm_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the operation makes no VM.
 * @retval FCSNAP_ESTATE  It has not ended, failed, or its VM was taken.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_take_vm(fcsnap_op *op, fcsnap_vm **out);

/**
 * Pause a VM: its CPUs stop.
 *
 * @param[in] vm          A VM. Borrowed. One that is paused stays so.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done: the VM is paused.
 * @retval FCSNAP_EINVAL     The VM is NULL.
 * @retval FCSNAP_EDIED      The VM has exited.
 * @retval FCSNAP_EVMM       Firecracker refused.
 * @retval FCSNAP_EPROTO     What it answered is not HTTP.
 * @retval FCSNAP_ETIMEDOUT  The limit passed; the VM will be as it was before.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread; calls on one VM run one at a time.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_pause(fcsnap_vm *vm, int64_t timeout_ms);

/**
 * Begin to pause a VM: fcsnap_vm_pause() without the wait.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_pause_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out);

/**
 * Resume a paused VM.
 *
 * Firecracker 1.16.0 and 1.16.1 would hear nothing more from vsock then
 * (https://github.com/firecracker-microvm/firecracker/issues/6074): there, unless
 * a snapshot was taken since the pause, all vsock connections of the VM are reset.
 *
 * @param[in] vm          A VM. Borrowed. One that runs goes on; no request is sent then.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done: the VM runs.
 * @retval FCSNAP_EINVAL     The VM is NULL.
 * @retval FCSNAP_EDIED      The VM has exited.
 * @retval FCSNAP_EVMM       Firecracker refused.
 * @retval FCSNAP_EPROTO     What it answered is not HTTP.
 * @retval FCSNAP_ETIMEDOUT  The limit passed; the VM will be as it was before.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread; calls on one VM run one at a time.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_resume(fcsnap_vm *vm, int64_t timeout_ms);

/**
 * Begin to resume a VM: fcsnap_vm_resume() without the wait.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_resume_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out);

/**
 * Stop a VM: end its process, and wait until it and its directory are gone.
 *
 * @param[in] vm          A VM. Borrowed. One that has exited is no error.
 * @param[in] timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 *
 * @retval 0                 Done: nothing of it is left.
 * @retval FCSNAP_EINVAL     The VM is NULL.
 * @retval FCSNAP_ETIMEDOUT  The process was killed but is not gone yet.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread. Needs no turn: calls in flight end with FCSNAP_EDIED.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_stop(fcsnap_vm *vm, int64_t timeout_ms);

/**
 * Begin to stop a VM: fcsnap_vm_stop() without the wait. The process is
 * killed at once; the operation ends when its directory is gone too.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   An argument is NULL.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_EFORKED  The host belongs to the parent of this process.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_stop_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out);

/**
 * Send SIGKILL to a VM. Its end comes soon after: fcsnap_vm_wait().
 *
 * @param[in] vm  A VM. Borrowed.
 *
 * @retval 0               Done, or it has exited.
 * @retval FCSNAP_EINVAL   The VM is NULL.
 * @retval FCSNAP_ECLOSED  The host was closed, and the VM is detached: it goes on.
 * @retval FCSNAP_EFORKED  The host belongs to the parent of this process.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_kill(fcsnap_vm *vm);

/**
 * Wait until a VM has exited and its directory is gone.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  timeout_ms  Limit, milliseconds; -1 waits for ever, 0 only looks.
 * @param[out] exit_code   Its exit status, or -N for signal N, or INT32_MIN if the program
 *                         reaps its children itself, or a keeper died. May be NULL.
 *
 * @retval 0                 It has exited.
 * @retval FCSNAP_EINVAL     The VM is NULL.
 * @retval FCSNAP_ETIMEDOUT  It lives still.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_wait(fcsnap_vm *vm, int64_t timeout_ms, int32_t *exit_code);

/**
 * State of a VM.
 *
 * @param[in]  vm     A VM. Borrowed.
 * @param[out] state  FCSNAP_VM_RUNNING, FCSNAP_VM_PAUSED or FCSNAP_VM_EXITED.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_state(fcsnap_vm *vm, uint32_t *state);

/**
 * Id of a VM: the name of its directory.
 *
 * @param[in] vm  A VM. Borrowed.
 *
 * @return A UUID, living as long as the handle; NULL if @p vm is.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_vm_id(const fcsnap_vm *vm);

/**
 * Number of a VM, as events name it.
 *
 * @param[in] vm  A VM. Borrowed.
 *
 * @return A number that no other object of the host has; 0 if @p vm is NULL.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API uint64_t fcsnap_vm_number(const fcsnap_vm *vm);

/**
 * Why the library killed a VM, or that its memory was taken away.
 *
 * The code is FCSNAP_ECORRUPT if the memory file of its snapshot was changed
 * while it ran from there: see fcsnap_restore_options_set_memory().
 *
 * @param[in]  vm    A VM. Borrowed.
 * @param[out] code  0 if nothing of that, else the error, like FCSNAP_EPAGER.
 * @param[out] text  One line that says what and where; caller owns, fcsnap_free(). NULL if the
 *                   code is 0. May be NULL.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The VM or @p code is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_fault(fcsnap_vm *vm, int32_t *code, char **text);

/**
 * What a VM is, as JSON.
 *
 * An object with "schema" 1, "id", "pid" (of Firecracker), "state",
 * "detached", "firecracker" (version), "origin" ("boot" or "restore"),
 * "snapshot" (id, or null), "memory" ("file", "lazy", "eager", or null after a
 * boot), "config" (the machine, as for Firecracker's --config-file; what is
 * relative lies in the directory of the VM). Members are only added.
 *
 * @param[in]  vm   A VM. Borrowed.
 * @param[out] out  Caller owns; fcsnap_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_info(fcsnap_vm *vm, char **out);

/**
 * When a VM reached each phase, and what its memory cost so far, as JSON.
 *
 * An object with "schema" 1; "phases_ns": for each phase that was reached the
 * nanoseconds since the boot, restore or attach was asked for: "spawned",
 * "api_ready", "configured", "started", "image_open", "load_sent",
 * "descriptor_received", "load_answered", "populated", "connected", "proven";
 * "memory": "mode" (null after a boot), "faults", "bytes_copied",
 * "bytes_zeroed", "bytes_given_back", since the VM began; "capture": of the
 * last snapshot by this program "pause_ns", "create_ns", "total_ns", "kind".
 * Members are only added.
 *
 * @param[in]  vm   A VM. Borrowed.
 * @param[out] out  Caller owns; fcsnap_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_timings(fcsnap_vm *vm, char **out);

/**
 * The end of what a VM printed: Firecracker's log and the guest's serial
 * console, of which the last MiB is kept.
 *
 * @param[in]  vm     A VM. Borrowed.
 * @param[in]  limit  How many bytes at most.
 * @param[out] out    The bytes and a NUL; caller owns, fcsnap_free(). NULL on failure.
 * @param[out] size   How many bytes, without the NUL. May be NULL.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The VM or @p out is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread. Needs no turn.
 * @blocks     To read a file.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_console(fcsnap_vm *vm, size_t limit, char **out, size_t *size);

/**
 * Send a request to any endpoint of Firecracker's API.
 *
 * What it changes behind the library's back is heeded: after anything but a
 * GET the state of the VM is asked for, and the next snapshot holds all of
 * the memory after a raw /snapshot/create.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  method      "GET", "PUT", "PATCH" or "DELETE". Copied.
 * @param[in]  path        Path, starting with "/", of at most 1,000 bytes. Copied.
 * @param[in]  body        JSON, at most 51,200 bytes; NULL for none. Copied.
 * @param[in]  timeout_ms  Limit for the whole call, milliseconds; -1 waits for ever.
 * @param[out] status      The answer's status, like 204. Every answer is a success.
 * @param[out] response    The answer's body; caller owns, fcsnap_free(). NULL if it has none, or
 *                         on failure. May be NULL.
 *
 * @retval 0                 Firecracker answered.
 * @retval FCSNAP_EINVAL     An argument is NULL, too long or not of the form above.
 * @retval FCSNAP_EDIED      The VM has exited.
 * @retval FCSNAP_EPROTO     The answer is not HTTP.
 * @retval FCSNAP_ETIMEDOUT  The limit passed; whether the request took effect is not known.
 * @retval FCSNAP_ECANCELED  The host was closed meanwhile.
 * @retval FCSNAP_ECLOSED    The host is closed.
 * @retval FCSNAP_ENOMEM     Out of memory.
 * @threadsafe Any thread; calls on one VM run one at a time.
 * @blocks     Up to @p timeout_ms.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_api(fcsnap_vm *vm, const char *method, const char *path,
                                 const char *body, int64_t timeout_ms, int32_t *status,
                                 char **response);

/**
 * Begin to send a request: fcsnap_vm_api() without the wait.
 *
 * @param[in]  vm          A VM. Borrowed.
 * @param[in]  method      As for fcsnap_vm_api(). Copied.
 * @param[in]  path        As for fcsnap_vm_api(). Copied.
 * @param[in]  body        As for fcsnap_vm_api(). Copied.
 * @param[in]  timeout_ms  Limit for the operation, milliseconds; -1 for none.
 * @param[out] out         Caller owns; fcsnap_op_free(). Its result is taken with
 *                         fcsnap_op_take_response(). NULL on failure.
 *
 * @retval 0               It began.
 * @retval FCSNAP_EINVAL   As for fcsnap_vm_api(), or @p out is NULL.
 * @retval FCSNAP_ECLOSED  The host is closed.
 * @retval FCSNAP_EFORKED  The host belongs to the parent of this process.
 * @retval FCSNAP_ENOMEM   Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_vm_api_start(fcsnap_vm *vm, const char *method, const char *path,
                                       const char *body, int64_t timeout_ms, fcsnap_op **out);

/**
 * Take the answer to a request that was begun.
 *
 * @param[in]  op        An operation of fcsnap_vm_api_start(). Borrowed.
 * @param[out] status    HTTP status.
 * @param[out] response  Body of the answer, which is taken once; caller owns, fcsnap_free().
 *                       NULL if there is none. May be NULL.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p op or @p status is NULL, or it is another kind of operation.
 * @retval FCSNAP_ESTATE  It has not ended, or failed.
 * @threadsafe Not while another thread takes from the same operation.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_op_take_response(fcsnap_op *op, int32_t *status, char **response);

/**
 * Give up a VM. One that runs gets SIGKILL, and its directory is removed
 * behind: fcsnap_vm_stop() waits for that. A detached one goes on, unless it
 * was killed: it is left behind, once what was asked of it is done.
 *
 * @param[in] vm  Freed. NULL is a no-op.
 *
 * @threadsafe Not while another thread uses the VM.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_vm_free(fcsnap_vm *vm);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
