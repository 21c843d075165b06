/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/digest.h"

#include "base/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CHUNK = 256 * 1024 };

void digest_64(const void *data, size_t size, char out[DIGEST_64])
{
    snprintf(out, DIGEST_64, "%016" PRIx64, (uint64_t)XXH3_64bits(data, size));
}

static int hash_all(int fd, const char *name, XXH3_state_t *state, char *chunk)
{
    uint64_t at = 0;
    size_t n;

    do {
        if (fs_pread(fd, chunk, CHUNK, at, &n) < 0) {
            return err_prefix("%s", name);
        }
        XXH3_128bits_update(state, chunk, n);
        at += n;
    } while (n == CHUNK);
    return 0;
}

int digest_fd(int fd, const char *name, char out[DIGEST_128])
{
    XXH3_state_t *state = XXH3_createState();
    char *chunk = malloc(CHUNK);
    XXH128_hash_t hash;
    int rc;

    if (state == NULL || chunk == NULL) {
        rc = err_nomem();
        goto out;
    }
    XXH3_128bits_reset(state);
    rc = hash_all(fd, name, state, chunk);
    if (rc < 0) {
        goto out;
    }
    hash = XXH3_128bits_digest(state);
    snprintf(out, DIGEST_128, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
out:
    free(chunk);
    XXH3_freeState(state);
    return rc;
}

int digest_open(int dir_fd, const char *name, uint64_t size, int *out)
{
    uint64_t found;
    int rc = fs_open_file_at(dir_fd, name, FCSNAP_ESNAPSHOT, out, &found);

    if (rc == 0 && found != size) {
        fs_close(out);
        rc = err_set(FCSNAP_ECORRUPT, "%s: %" PRIu64 " bytes instead of %" PRIu64, name, found,
                     size);
    }
    return rc;
}

int digest_file(int dir_fd, const char *name, uint64_t size, char out[DIGEST_128])
{
    int fd;
    int rc = digest_open(dir_fd, name, size, &fd);

    rc = rc < 0 ? rc : digest_fd(fd, name, out);
    fs_close(&fd);
    return rc;
}

int digest_check(int dir_fd, const char *name, uint64_t size, const char *expected)
{
    char found[DIGEST_128];
    int rc = digest_file(dir_fd, name, size, found);

    if (rc < 0) {
        return rc;
    }
    return strcmp(found, expected) == 0 ? 0
                                        : err_set(FCSNAP_ECORRUPT, "%s: checksum differs", name);
}

bool digest_valid(const char *text, size_t size)
{
    return strlen(text) == size - 1 && strspn(text, "0123456789abcdef") == size - 1;
}
