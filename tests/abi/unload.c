/* SPDX-License-Identifier: Apache-2.0 */
/* Threads open the library, use its thread-local state, close it, and end after that. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 20 };

static const char *library;

static void *symbol(void *handle, const char *name)
{
    void *found = dlsym(handle, name);

    if (found == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return found;
}

static void *use_and_close(void *arg)
{
    const char *(*last_error)(void);
    const char *(*version)(void);
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    *(void **)&last_error = symbol(handle, "fcsnap_last_error");
    *(void **)&version = symbol(handle, "fcsnap_version");
    if (last_error()[0] != '\0' || version()[0] == '\0') {
        fprintf(stderr, "a new thread has an error, or the library no version\n");
        exit(1);
    }
    dlclose(handle);
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];

    if (argc != 2) {
        fprintf(stderr, "usage: unload LIBRARY\n");
        return 2;
    }
    library = argv[1];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++) {
            if (pthread_create(&threads[i], NULL, use_and_close, NULL) != 0) {
                return 1;
            }
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    return 0;
}
