/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Linux guest, made ready once; then a program runs in clone after clone of it.
 *
 *     guest_clones KERNEL INITRD PROGRAM [ARGUMENT]...
 *
 * The guest is that of guest_exec. Its file system is its memory, so the file that
 * goes in before the snapshot shows in each clone that the memory is whole.
 */
#include <fcsnap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIMIT_MS = 60000, SIZE = 4 << 20, ROUNDS = 2, MODES = 2 };

static const char boot_args[] = "console=ttyS0 reboot=k panic=1 quiet -- --modules /modules";
static const uint32_t modes[MODES] = { FCSNAP_MEMORY_FILE, FCSNAP_MEMORY_LAZY };
static const char *const mode_names[MODES] = { "file", "lazy" };

static unsigned char content[SIZE];
static unsigned char returned[SIZE];

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int32_t boot(fcsnap_host *host, char **argv, fcsnap_vm **vm)
{
    fcsnap_config *config = NULL;
    int32_t rc = fcsnap_config_new(&config);

    rc = rc < 0 ? rc : fcsnap_config_set_kernel(config, argv[1]);
    rc = rc < 0 ? rc : fcsnap_config_set_initrd(config, argv[2]);
    rc = rc < 0 ? rc : fcsnap_config_set_boot_args(config, boot_args);
    rc = rc < 0 ? rc : fcsnap_vm_boot(host, config, LIMIT_MS, vm);
    fcsnap_config_free(config);
    return rc;
}

/* The library copies from and to descriptors of files, with a name or without. */
static int32_t copy(fcsnap_rpc *rpc, int back)
{
    FILE *file = tmpfile();
    int32_t rc = 1;

    if (file == NULL || (!back && fwrite(content, SIZE, 1, file) != 1) || fflush(file) != 0) {
        perror("guest_clones: a temporary file");
    } else if (!back) {
        rc = fcsnap_guest_put_fd(rpc, fileno(file), "/input", 0644, LIMIT_MS);
    } else {
        rc = fcsnap_guest_get_fd(rpc, "/input", fileno(file), SIZE, LIMIT_MS);
        rewind(file);
        if (rc == 0 && (fread(returned, SIZE, 1, file) != 1 || memcmp(content, returned, SIZE))) {
            fprintf(stderr, "guest_clones: the memory of a clone is not whole\n");
            rc = 1;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return rc;
}

static int32_t run_program(fcsnap_rpc *rpc, char **words)
{
    fcsnap_exec_options *options = NULL;
    fcsnap_exec_result *result = NULL;
    int32_t rc = fcsnap_exec_options_new(&options);

    for (; rc == 0 && *words != NULL; words++) {
        rc = fcsnap_exec_options_add_arg(options, *words);
    }
    rc = rc < 0 ? rc : fcsnap_guest_exec(rpc, options, LIMIT_MS, &result);
    if (rc == 0 && fcsnap_exec_result_exit_code(result) != 0) {
        fprintf(stderr, "guest_clones: %s", fcsnap_exec_result_output(result, FCSNAP_STDERR, NULL));
        rc = 1;
    }
    fcsnap_exec_result_free(result);
    fcsnap_exec_options_free(options);
    return rc;
}

static int32_t prepare(fcsnap_host *host, char **argv, fcsnap_snapshot **snapshot)
{
    fcsnap_vm *vm = NULL;
    fcsnap_rpc *rpc = NULL;
    double began = now_ms();
    int32_t rc = boot(host, argv, &vm);

    rc = rc != 0 ? rc : fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT_MS, &rpc);
    rc = rc != 0 ? rc : copy(rpc, 0);
    rc = rc != 0 ? rc : fcsnap_snapshot_create(vm, LIMIT_MS, snapshot);
    if (rc == 0) {
        printf("Linux booted, was given a file of %d MiB and captured in %.0f ms\n", SIZE >> 20,
               now_ms() - began);
    }
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
    return rc;
}

static int32_t try_clone(fcsnap_snapshot *snapshot, int mode, char **words)
{
    fcsnap_restore_options *options = NULL;
    fcsnap_vm *vm = NULL;
    fcsnap_rpc *rpc = NULL;
    double times[4] = { now_ms() };
    int32_t rc = fcsnap_restore_options_new(&options);

    rc = rc != 0 ? rc : fcsnap_restore_options_set_memory(options, modes[mode]);
    rc = rc != 0 ? rc : fcsnap_vm_restore(snapshot, options, LIMIT_MS, &vm);
    times[1] = now_ms();
    rc = rc != 0 ? rc : fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT_MS, &rpc);
    times[2] = now_ms();
    rc = rc != 0 ? rc : run_program(rpc, words);
    times[3] = now_ms();
    rc = rc != 0 ? rc : copy(rpc, 1);
    if (rc == 0) {
        printf("%s: it runs after %.1f ms, answers after %.1f ms, the program ended after %.1f ms; "
               "the file is whole\n",
               mode_names[mode], times[1] - times[0], times[2] - times[0], times[3] - times[0]);
    }
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
    fcsnap_restore_options_free(options);
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    fcsnap_snapshot *snapshot = NULL;
    int32_t rc;

    if (argc < 4) {
        fprintf(stderr, "usage: guest_clones KERNEL INITRD PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    for (int i = 0; i < SIZE; i++) {
        content[i] = (unsigned char)(rand() >> 7);
    }
    rc = fcsnap_host_new(&host);
    rc = rc != 0 ? rc : fcsnap_host_open(host);
    rc = rc != 0 ? rc : prepare(host, argv, &snapshot);
    for (int i = 0; rc == 0 && i < ROUNDS * MODES; i++) {
        rc = try_clone(snapshot, i % MODES, argv + 3);
    }
    rc = rc != 0 ? rc : fcsnap_snapshot_delete(snapshot);
    if (rc < 0) {
        fprintf(stderr, "guest_clones: %s\n", fcsnap_last_error());
    }
    fcsnap_snapshot_free(snapshot);
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) {
        rc = 1;
    }
    fcsnap_host_free(host);
    return rc != 0;
}
