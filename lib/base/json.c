/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/utf8.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, since a stranger may send an object of a hundred thousand keys. */
static int check_keys(const json *object, int code)
{
    size_t count = json_size(object);
    const char **keys;
    size_t n = 0;
    int rc = 0;

    if (count < 2) {
        return 0;
    }
    keys = calloc(count, sizeof(*keys));
    if (keys == NULL) {
        return err_nomem();
    }
    for (const json *member = json_first(object); member != NULL; member = json_next(member)) {
        keys[n++] = json_key(member);
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < count && rc == 0; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            char quoted[ERR_QUOTE + 1];

            rc = err_set(code, "key \"%s\" twice in one object",
                         err_quote(quoted, keys[i], strlen(keys[i])));
        }
    }
    free(keys);
    return rc;
}

static int check_tree(const json *value, int code)
{
    int rc = 0;

    if (cJSON_IsNumber(value) && !isfinite(value->valuedouble)) {
        return err_set(code, "JSON with a number that is too large");
    }
    if (cJSON_IsObject(value)) {
        rc = check_keys(value, code);
    }
    for (const json *child = json_first(value); child != NULL && rc == 0;
         child = json_next(child)) {
        rc = check_tree(child, code);
    }
    return rc;
}

int json_parse(const char *text, size_t size, size_t limit, int code, json **out)
{
    json *value;
    int rc;

    *out = NULL;
    rc = json_check(text, size, limit, code);
    if (rc < 0) {
        return rc;
    }
    /* cJSON takes more than JSON, never less: it can only be out of memory. */
    value = cJSON_ParseWithLength(text, size);
    if (value == NULL) {
        return err_nomem();
    }
    rc = check_tree(value, code);
    if (rc < 0) {
        json_free(value);
        return rc;
    }
    *out = value;
    return 0;
}

void json_free(json *value)
{
    cJSON_Delete(value);
}

int json_copy(const json *value, json **out)
{
    *out = cJSON_Duplicate(value, true);
    return *out != NULL ? 0 : err_nomem();
}

enum json_kind json_kind(const json *value)
{
    switch (value != NULL ? value->type & 0xff : cJSON_NULL) {
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    case cJSON_Raw:
        return JSON_RAW;
    default:
        return JSON_NULL;
    }
}

const char *json_text(const json *value)
{
    return cJSON_IsString(value) || cJSON_IsRaw(value) ? value->valuestring : NULL;
}

double json_number(const json *value)
{
    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

bool json_true(const json *value)
{
    return cJSON_IsTrue(value);
}

const char *json_key(const json *value)
{
    return value->string;
}

json *json_first(const json *container)
{
    return cJSON_IsArray(container) || cJSON_IsObject(container) ? container->child : NULL;
}

json *json_next(const json *value)
{
    return value->next;
}

size_t json_size(const json *container)
{
    size_t count = 0;

    for (const json *child = json_first(container); child != NULL; child = child->next) {
        count++;
    }
    return count;
}

json *json_at(const json *container, size_t index)
{
    json *child = json_first(container);

    while (child != NULL && index-- > 0) {
        child = child->next;
    }
    return child;
}

json *json_get(const json *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

bool json_has(const json *object, const char *key)
{
    return json_get(object, key) != NULL;
}

json *json_new_object(void)
{
    return cJSON_CreateObject();
}

json *json_new_array(void)
{
    return cJSON_CreateArray();
}

json *json_new_string(const char *text)
{
    return cJSON_CreateString(text);
}

json *json_new_u64(uint64_t value)
{
    char digits[24];

    if (value <= JSON_WHOLE_MAX) {
        return cJSON_CreateNumber((double)value);
    }
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    return cJSON_CreateRaw(digits);
}

json *json_new_bool(bool value)
{
    return cJSON_CreateBool(value);
}

int json_set(json *object, const char *key, json *value)
{
    json *old = json_get(object, key);

    if (object == NULL || value == NULL) {
        json_free(value);
        return err_nomem();
    }
    if (!cJSON_AddItemToObject(object, key, value)) {
        json_free(value);
        return err_nomem();
    }
    json_free(old != NULL ? cJSON_DetachItemViaPointer(object, old) : NULL);
    return 0;
}

int json_set_string(json *object, const char *key, const char *text)
{
    if (text == NULL) {
        return err_set(FCSNAP_EINVAL, "%s: no text", key);
    }
    if (!utf8_valid(text, strlen(text))) {
        return err_set(FCSNAP_EINVAL, "%s: not UTF-8", key);
    }
    return json_set(object, key, cJSON_CreateString(text));
}

int json_set_text(json *object, const char *key, const char *text)
{
    return text != NULL ? json_set_string(object, key, text) : json_set_null(object, key);
}

int json_set_u64(json *object, const char *key, uint64_t value)
{
    return json_set(object, key, json_new_u64(value));
}

int json_set_i64(json *object, const char *key, int64_t value)
{
    char digits[24];

    if (value >= -(int64_t)JSON_WHOLE_MAX && value <= (int64_t)JSON_WHOLE_MAX) {
        return json_set(object, key, cJSON_CreateNumber((double)value));
    }
    snprintf(digits, sizeof(digits), "%lld", (long long)value);
    return json_set_raw(object, key, digits);
}

int json_set_bool(json *object, const char *key, bool value)
{
    return json_set(object, key, json_new_bool(value));
}

int json_set_null(json *object, const char *key)
{
    return json_set(object, key, cJSON_CreateNull());
}

int json_set_raw(json *object, const char *key, const char *text)
{
    return json_set(object, key, cJSON_CreateRaw(text));
}

int json_append(json *array, json *value)
{
    if (array == NULL || value == NULL || !cJSON_AddItemToArray(array, value)) {
        json_free(value);
        return err_nomem();
    }
    return 0;
}

void json_remove(json *object, const char *key)
{
    json *old = json_get(object, key);

    if (old != NULL) {
        json_free(cJSON_DetachItemViaPointer(object, old));
    }
}

int json_merge(json *to, const json *from)
{
    for (const json *member = json_first(from); member != NULL; member = json_next(member)) {
        json *old = json_get(to, json_key(member));
        int rc;

        if (cJSON_IsObject(old) && cJSON_IsObject(member)) {
            rc = json_merge(old, member);
        } else {
            rc = json_set(to, json_key(member), cJSON_Duplicate(member, true));
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void set_path(struct json_view *out, const struct json_view *parent, const char *key)
{
    const char *dot = parent->path[0] != '\0' ? "." : "";
    char quoted[ERR_QUOTE + 1];

    snprintf(out->path, sizeof(out->path), "%s%s%s", parent->path, dot,
             err_quote(quoted, key, strlen(key)));
}

int json_view_root(const json *value, int code, struct json_view *out)
{
    *out = (struct json_view){ .value = value, .code = code };
    return cJSON_IsObject(value) ? 0 : err_set(code, "JSON: an object is needed");
}

void json_view_of(const struct json_view *parent, const json *child, struct json_view *out)
{
    size_t index = 0;

    *out = (struct json_view){ .value = child, .code = parent->code };
    if (child->string != NULL) {
        set_path(out, parent, child->string);
        return;
    }
    for (const json *c = json_first(parent->value); c != NULL && c != child; c = c->next) {
        index++;
    }
    snprintf(out->path, sizeof(out->path), "%s[%zu]", parent->path, index);
}

static int refuse(const struct json_view *in, const char *key, const char *what)
{
    struct json_view at;

    set_path(&at, in, key);
    if (!json_has(in->value, key)) {
        return err_set(in->code, "%s: missing", at.path);
    }
    return err_set(in->code, "%s: %s is needed", at.path, what);
}

static bool is_whole(const json *value, double min, double max)
{
    return cJSON_IsNumber(value) && value->valuedouble >= min && value->valuedouble <= max &&
           value->valuedouble == (double)(int64_t)value->valuedouble;
}

int json_get_u64(const struct json_view *in, const char *key, uint64_t max, uint64_t *out)
{
    const json *value = json_get(in->value, key);
    uint64_t limit = max < JSON_WHOLE_MAX ? max : JSON_WHOLE_MAX;
    char what[64];

    if (!is_whole(value, 0, (double)limit)) {
        snprintf(what, sizeof(what), "a whole number from 0 to %llu", (unsigned long long)limit);
        return refuse(in, key, cJSON_IsNumber(value) ? what : "a number");
    }
    *out = (uint64_t)value->valuedouble;
    return 0;
}

int json_get_bool(const struct json_view *in, const char *key, bool *out)
{
    const json *value = json_get(in->value, key);

    if (!cJSON_IsBool(value)) {
        return refuse(in, key, "true or false");
    }
    *out = cJSON_IsTrue(value);
    return 0;
}

int json_get_string(const struct json_view *in, const char *key, const char **out)
{
    const json *value = json_get(in->value, key);

    if (!cJSON_IsString(value)) {
        return refuse(in, key, "a string");
    }
    *out = value->valuestring;
    return 0;
}

int json_get_object(const struct json_view *in, const char *key, struct json_view *out)
{
    const json *value = json_get(in->value, key);

    if (!cJSON_IsObject(value)) {
        return refuse(in, key, "an object");
    }
    json_view_of(in, value, out);
    return 0;
}

int json_get_array(const struct json_view *in, const char *key, struct json_view *out)
{
    const json *value = json_get(in->value, key);

    if (!cJSON_IsArray(value)) {
        return refuse(in, key, "an array");
    }
    json_view_of(in, value, out);
    return 0;
}
