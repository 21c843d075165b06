/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_EXEC_H
#define HOST_EXEC_H

#include "guest/exec.h"
#include "host/sink.h"

/* What a program in the guest writes, and how it ended. */
struct exec_stream {
    struct buf kept;
    struct sink sink;
    uint64_t written; /* by the program, as far as it came here */
};

struct fcsnap_exec_result {
    struct exec_end end;
    uint64_t max_output;
    bool truncated[EXEC_STREAMS];
    struct exec_stream streams[EXEC_STREAMS];
};

int exec_result_new(const struct fcsnap_exec_options *options,
                    struct fcsnap_exec_result **out) MUST_CHECK;

/* Takes a piece of output; FCSNAP_EFRAME if it is not the next one. */
int exec_result_add(struct fcsnap_exec_result *result, const struct exec_output *output) MUST_CHECK;

/* Takes its end; FCSNAP_EFRAME if it wrote more or less than came. */
int exec_result_end(struct fcsnap_exec_result *result, const struct exec_end *end) MUST_CHECK;

#endif
