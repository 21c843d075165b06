/* SPDX-License-Identifier: Apache-2.0 */
#include "host/keeper_message.h"

#include <stdio.h>
#include <string.h>

void keeper_pack(struct keeper_message *message, struct packet *packet)
{
    message->protocol = KEEPER_PROTOCOL;
    *packet = (struct packet){ .data = message, .size = sizeof(*message) };
}

static int send_message(int socket, struct keeper_message *message)
{
    struct packet packet;

    keeper_pack(message, &packet);
    return packet_send(socket, &packet);
}

int keeper_tell(int socket, enum keeper_kind kind, int32_t first, int32_t second)
{
    struct keeper_message message = { .kind = kind, .values = { first, second } };

    return send_message(socket, &message);
}

int keeper_tell_error(int socket, enum keeper_kind kind, const struct err *error)
{
    struct keeper_message message = { .kind = kind, .code = error->code, .sys = error->sys };

    snprintf(message.text, sizeof(message.text), "%s", error->text);
    return send_message(socket, &message);
}

static int check(const struct keeper_message *message)
{
    if (message->protocol != KEEPER_PROTOCOL) {
        return err_set(FCSNAP_EUNSUPPORTED, "the keeper speaks protocol %u, this library %d",
                       message->protocol, KEEPER_PROTOCOL);
    }
    if (message->kind == 0 || message->kind >= KEEPER_KINDS || message->code > 0 ||
        memchr(message->text, '\0', sizeof(message->text)) == NULL) {
        return err_set(FCSNAP_EPROTO, "message %u of a keeper is malformed", message->kind);
    }
    return 0;
}

int keeper_hear(int socket, struct keeper_message *message, struct packet *packet)
{
    int rc;

    keeper_pack(message, packet);
    rc = packet_receive(socket, packet);
    if (rc != 0) {
        return rc;
    }
    rc = check(message);
    if (rc < 0) {
        packet_close(packet);
    }
    return rc;
}

void keeper_error(const struct keeper_message *message, struct err *out)
{
    out->code = message->code != 0 ? message->code : FCSNAP_EPROTO;
    out->sys = message->sys;
    memcpy(out->text, message->text, sizeof(out->text));
}
