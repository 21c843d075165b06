/* SPDX-License-Identifier: Apache-2.0 */
/* For tests that compare values: the same text, so members in the same order. */
#ifndef TESTS_UNIT_SAME_JSON_H
#define TESTS_UNIT_SAME_JSON_H

#include "base/json.h"

static inline bool same_json(const json *a, const json *b)
{
    char *texts[2] = { NULL, NULL };
    bool same;

    assert_int_equal(json_print(a, &texts[0]), 0);
    assert_int_equal(json_print(b, &texts[1]), 0);
    same = strcmp(texts[0], texts[1]) == 0;
    free(texts[0]);
    free(texts[1]);
    return same;
}

#endif
