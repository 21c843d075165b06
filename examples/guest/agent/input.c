/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include "limits.h"
#include "print.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

static void answer(struct input *input)
{
    struct call *call = input->call;

    if (call == NULL || (input_is_open(input) && input->buf.size >= INPUT_MAX)) {
        return;
    }
    input->call = NULL;
    field_number(call_result(call), "accepted", (int64_t)input->accepted);
    call_done(call);
}

static void give(struct input *input)
{
    size_t given = 0;

    while (given < input->buf.size) {
        ssize_t n = write(input->watch.fd, input->buf.data + given, input->buf.size - given);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            input_close(input); /* nobody reads it any more */
            return;
        }
        if (n < 0) {
            break;
        }
        given += (size_t)n;
    }
    if (given > 0) {
        buf_consume(&input->buf, given);
    }
    if (input->ends && input->buf.size == 0) {
        input_close(input);
        return;
    }
    loop_watch(&input->watch, input->buf.size > 0 ? EPOLLOUT : EPOLLERR);
    answer(input);
}

static void fire(struct watch *watch, uint32_t events)
{
    struct input *input = CONTAINER_OF(watch, struct input, watch);

    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        input_close(input);
    } else {
        give(input);
    }
}

void input_open(struct input *input, int fd)
{
    *input = (struct input){ .watch = { .fd = fd, .fire = fire } };
    loop_watch(&input->watch, EPOLLERR);
}

bool input_is_open(const struct input *input)
{
    return input->watch.fd >= 0 && !input->ends;
}

void input_add(struct input *input, const void *data, size_t size, bool ends)
{
    buf_add(&input->buf, data, size);
    input->ends = ends;
    if (input->buf.failed) {
        input_close(input);
    } else {
        give(input);
    }
}

void input_answer(struct input *input, struct call *call, size_t accepted)
{
    input->call = call;
    input->accepted = accepted;
    answer(input);
}

void input_close(struct input *input)
{
    loop_close(&input->watch);
    buf_free(&input->buf);
    answer(input);
}
