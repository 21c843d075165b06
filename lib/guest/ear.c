/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/ear.h"

#include <stddef.h>

void ear_open(struct ear **list, struct ear *ear)
{
    ear->next = *list;
    ear->at = list;
    if (*list != NULL) {
        (*list)->at = &ear->next;
    }
    *list = ear;
}

void ear_close(struct ear *ear)
{
    if (ear->at == NULL) {
        return;
    }
    *ear->at = ear->next;
    if (ear->next != NULL) {
        ear->next->at = ear->at;
    }
    ear->at = NULL;
}

int ears_tell(struct ear *list, const struct message *message)
{
    int rc = 0;

    for (struct ear *ear = list; ear != NULL && rc == 0; ear = ear->next) {
        rc = ear->hear(ear, message);
    }
    return rc < 0 ? rc : 0;
}

void ears_end(struct ear *list)
{
    for (struct ear *ear = list; ear != NULL; ear = ear->next) {
        ear->ended(ear);
    }
}
