/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer.h"

#include "limits.h"

#include <stdlib.h>
#include <unistd.h>

static struct transfer *transfers;
static unsigned count;
static uint64_t last_id;

struct transfer *transfer_new(struct call *call)
{
    struct transfer *transfer = NULL;

    if (count < TRANSFERS_MAX && call->conn->transfers < TRANSFERS_OF_CONN) {
        transfer = calloc(1, sizeof(*transfer));
    }
    if (transfer == NULL) {
        call_error(call, RPC_LIMIT, "too many transfers");
        return NULL;
    }
    transfer->id = ++last_id;
    transfer->conn = call->conn;
    transfer->fd = -1;
    transfer->dir_fd = -1;
    transfer->next = transfers;
    transfers = transfer;
    transfer->conn->transfers++;
    count++;
    return transfer;
}

static struct transfer *find(uint64_t id, const struct conn *conn)
{
    for (struct transfer *t = transfers; t != NULL; t = t->next) {
        if (t->id == id && t->conn == conn && !t->dead) {
            return t;
        }
    }
    return NULL;
}

struct transfer *transfer_find(struct call *call, struct args *args, enum transfer_kind kind)
{
    uint64_t id = args_number(args, "transfer", INT64_MAX);
    struct transfer *transfer;

    if (args_refused(args, call)) {
        return NULL;
    }
    transfer = find(id, call->conn);
    if (transfer == NULL ||
        (kind != TRANSFER_ANY && transfer->writes != (kind == TRANSFER_WRITES))) {
        call_error(call, RPC_NOT_FOUND, "transfer %llu: not found", (unsigned long long)id);
        return NULL;
    }
    if (transfer->completing) {
        call_error(call, RPC_STATE, "transfer %llu: being completed", (unsigned long long)id);
        return NULL;
    }
    return transfer;
}

static void set_conn(struct transfer *transfer, struct conn *conn)
{
    if (transfer->conn != NULL) {
        transfer->conn->transfers--;
    }
    transfer->conn = conn;
}

void transfer_release(struct transfer *transfer)
{
    set_conn(transfer, NULL);
    transfer->dead = true;
}

static void conn_closed(struct conn *conn)
{
    for (struct transfer *t = transfers; t != NULL; t = t->next) {
        if (t->conn == conn) {
            transfer_release(t);
        }
    }
}

void transfer_init(void)
{
    static struct conn_observer observer = { .closed = conn_closed };

    conn_observe(&observer);
}

static void free_transfer(struct transfer *transfer)
{
    if (transfer->temporary[0] != '\0') {
        unlinkat(transfer->dir_fd, transfer->temporary, 0);
    }
    if (transfer->fd >= 0) {
        close(transfer->fd);
    }
    if (transfer->dir_fd >= 0) {
        close(transfer->dir_fd);
    }
    free(transfer);
    count--;
}

void transfer_sweep(void)
{
    struct transfer **at = &transfers;

    while (*at != NULL) {
        struct transfer *transfer = *at;

        if (transfer->dead && !transfer->completing) {
            *at = transfer->next;
            free_transfer(transfer);
        } else {
            at = &transfer->next;
        }
    }
}
