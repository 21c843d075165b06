/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_EXEC_H
#define FCSNAP_EXEC_H

#include <fcsnap/error.h>
#include <stddef.h>

/**
 * @defgroup libfcsnap_exec programs to run in a guest
 *
 * What fcsnap_guest_exec() runs, and what it gives: how a program ended, and what
 * it wrote. Texts are for the agent, so they are UTF-8; input and output are bytes.
 * @{
 */

/** What a program writes to. */
enum { FCSNAP_STDOUT = 1, FCSNAP_STDERR = 2 };

/** A program to run in a guest. */
typedef struct fcsnap_exec_options fcsnap_exec_options;

/** How a program ended, and what it wrote. */
typedef struct fcsnap_exec_result fcsnap_exec_result;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Make the description of a program to run, which has no words yet.
 *
 * @param[out] out  Caller owns; fcsnap_exec_options_free(). NULL on failure.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  @p out is NULL.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_new(fcsnap_exec_options **out);

/**
 * Add a word: first the program, which is looked up in PATH, then its arguments.
 *
 * @param[in] options  Borrowed.
 * @param[in] word     Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the word is not UTF-8; or the program is empty.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_add_arg(fcsnap_exec_options *options, const char *word);

/**
 * Set a variable of its environment, which is otherwise the agent's.
 *
 * @param[in] options  Borrowed.
 * @param[in] name     Without "=". Copied.
 * @param[in] value    Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL or not UTF-8, or the name empty or with "=".
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_add_env(fcsnap_exec_options *options, const char *name,
                                               const char *value);

/**
 * Let it have no variables of the agent's, but PATH.
 *
 * @param[in] options  Borrowed.
 * @param[in] clear    1 or 0, the default.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or the value is neither 0 nor 1.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_clear_env(fcsnap_exec_options *options, int32_t clear);

/**
 * Set its working directory, which is otherwise "/".
 *
 * @param[in] options  Borrowed.
 * @param[in] path     An absolute path in the guest. Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the path not absolute or not UTF-8.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_cwd(fcsnap_exec_options *options, const char *path);

/**
 * Set as whom it runs; otherwise that is the agent's user, root mostly.
 *
 * @param[in] options  Borrowed.
 * @param[in] user     "NAME", "UID", "NAME:GROUP" or "UID:GID" of the guest. Copied.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  An argument is NULL, or the user empty or not UTF-8.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_user(fcsnap_exec_options *options, const char *user);

/**
 * Set what it reads from its standard input; otherwise that is /dev/null.
 *
 * @param[in] options  Borrowed.
 * @param[in] data     Any bytes. Copied.
 * @param[in] size     Of them; after these it reads the end.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or the data is and the size is not 0.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_stdin(fcsnap_exec_options *options, const void *data,
                                                 size_t size);

/**
 * Let it have a terminal: all that it writes is FCSNAP_STDOUT then.
 *
 * @param[in] options  Borrowed.
 * @param[in] rows     1 to 65535.
 * @param[in] cols     1 to 65535.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or a number is out of range.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_tty(fcsnap_exec_options *options, uint32_t rows,
                                               uint32_t cols);

/**
 * Let it be killed, with all of its process group, if it runs for so long.
 *
 * The call succeeds then, with what it wrote: fcsnap_exec_result_timed_out().
 * When the limit of the call itself passes first, it is killed too, but there is no
 * result.
 *
 * @param[in] options     Borrowed.
 * @param[in] timeout_ms  Milliseconds, up to 2^32-1; 0, the default, for no limit.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or the limit is out of range.
 * @retval FCSNAP_ENOMEM  Out of memory.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_timeout_ms(fcsnap_exec_options *options,
                                                      int64_t timeout_ms);

/**
 * Set how much of what it writes is kept for the result, of each stream.
 *
 * It can go on writing: the first bytes are kept, the others counted.
 *
 * @param[in] options    Borrowed.
 * @param[in] max_bytes  The default is 1 MiB.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_max_output(fcsnap_exec_options *options,
                                                      uint64_t max_bytes);

/**
 * Let what it writes go to a descriptor, as it comes, and not to the result.
 *
 * Whoever reads there sets the pace, up to 512 KiB ahead of it; a descriptor
 * that nobody can read any more ends the call, and the program.
 *
 * @param[in] options  Borrowed.
 * @param[in] stream   FCSNAP_STDOUT or FCSNAP_STDERR.
 * @param[in] fd       A file, pipe, socket or terminal that is open when the program is run, which
 *                     makes its own copy; -1 for none.
 *
 * @retval 0              Done.
 * @retval FCSNAP_EINVAL  The options are NULL, or the stream unknown.
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_options_set_output_fd(fcsnap_exec_options *options, uint32_t stream,
                                                     int32_t fd);

/**
 * Give up the description of a program.
 *
 * @param[in] options  Freed. NULL is a no-op.
 *
 * @threadsafe Not while another thread uses the options.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_exec_options_free(fcsnap_exec_options *options);

/**
 * The exit code of a program.
 *
 * @param[in] result  Borrowed.
 *
 * @return 0 to 255; -1 if a signal ended it, or @p result is NULL.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_result_exit_code(const fcsnap_exec_result *result);

/**
 * The signal that ended a program.
 *
 * @param[in] result  Borrowed.
 *
 * @return Its number in the guest; 0 if the program exited, or @p result is NULL.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_result_signal(const fcsnap_exec_result *result);

/**
 * Was it killed since it ran for too long?
 *
 * @param[in] result  Borrowed.
 *
 * @return 1 after the limit of fcsnap_exec_options_set_timeout_ms(), else 0.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_result_timed_out(const fcsnap_exec_result *result);

/**
 * What a program wrote, as far as it was kept.
 *
 * @param[in]  result  Borrowed.
 * @param[in]  stream  FCSNAP_STDOUT or FCSNAP_STDERR.
 * @param[out] size    In bytes. May be NULL.
 *
 * @return The bytes, and a NUL behind them that is not counted, living as long as
 *         the handle; empty for what went to a descriptor; NULL if @p result is, or
 *         the stream unknown.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_exec_result_output(const fcsnap_exec_result *result, uint32_t stream,
                                                 size_t *size);

/**
 * How many bytes a program wrote.
 *
 * @param[in] result  Borrowed.
 * @param[in] stream  FCSNAP_STDOUT or FCSNAP_STDERR.
 *
 * @return All of them, also those that were not kept; 0 if @p result is NULL, or
 *         the stream unknown.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API uint64_t fcsnap_exec_result_written(const fcsnap_exec_result *result, uint32_t stream);

/**
 * Is some of what a program wrote neither in the result nor at a descriptor?
 *
 * @param[in] result  Borrowed.
 * @param[in] stream  FCSNAP_STDOUT or FCSNAP_STDERR.
 *
 * @return 1 if it wrote more than fcsnap_exec_options_set_max_output(), else 0.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API int32_t fcsnap_exec_result_truncated(const fcsnap_exec_result *result, uint32_t stream);

/**
 * Give up the result of a program.
 *
 * @param[in] result  Freed. NULL is a no-op.
 *
 * @threadsafe Not while another thread uses the result.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API void fcsnap_exec_result_free(fcsnap_exec_result *result);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
