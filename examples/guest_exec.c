/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run a program in a Linux guest, with a file that goes in and one that comes out.
 *
 *     guest_exec KERNEL INITRD PROGRAM [ARGUMENT]...
 *
 * fcsnap-agent is the guest's init, so its initial file system needs no more than
 * that as /init, its kernel's modules for vsock in /modules, and the program.
 * What that writes comes out here as it comes; what it reads is /input.
 */
#include <fcsnap.h>
#include <stdio.h>
#include <unistd.h>

enum { LIMIT_MS = 60000 };

static const char boot_args[] = "console=ttyS0 reboot=k panic=1 quiet -- --modules /modules";

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

/* A descriptor of a file without a name serves as well as a path. */
static int32_t put_text(fcsnap_rpc *rpc, const char *text, const char *path)
{
    FILE *file = tmpfile();
    int32_t rc = 1;

    if (file == NULL || fputs(text, file) < 0 || fflush(file) != 0) {
        perror("guest_exec: a temporary file");
    } else {
        rc = fcsnap_guest_put_fd(rpc, fileno(file), path, 0644, LIMIT_MS);
    }
    if (file != NULL) {
        fclose(file);
    }
    return rc;
}

/* Its standard output is ours; what it says of errors is kept for the end. */
static int32_t run_program(fcsnap_rpc *rpc, char **words, int *status)
{
    fcsnap_exec_options *options = NULL;
    fcsnap_exec_result *result = NULL;
    int32_t rc = fcsnap_exec_options_new(&options);

    for (; rc == 0 && *words != NULL; words++) {
        rc = fcsnap_exec_options_add_arg(options, *words);
    }
    rc = rc < 0 ? rc : fcsnap_exec_options_add_env(options, "HOME", "/");
    rc = rc < 0 ? rc : fcsnap_exec_options_set_output_fd(options, FCSNAP_STDOUT, STDOUT_FILENO);
    rc = rc < 0 ? rc : fcsnap_exec_options_set_timeout_ms(options, LIMIT_MS / 2);
    rc = rc < 0 ? rc : fcsnap_guest_exec(rpc, options, LIMIT_MS, &result);
    if (rc == 0) {
        *status = fcsnap_exec_result_exit_code(result); /* -1: see fcsnap_exec_result_signal() */
        fputs(fcsnap_exec_result_output(result, FCSNAP_STDERR, NULL), stderr);
    }
    fcsnap_exec_result_free(result);
    fcsnap_exec_options_free(options);
    return rc;
}

/* At most a megabyte: the guest does not decide how much of this disk it fills. */
static int32_t get_release(fcsnap_rpc *rpc)
{
    FILE *file = tmpfile();
    char line[256];
    int32_t rc = 1;

    if (file == NULL) {
        perror("guest_exec: a temporary file");
        return rc;
    }
    rc = fcsnap_guest_get_fd(rpc, "/proc/sys/kernel/osrelease", fileno(file), 1 << 20, LIMIT_MS);
    if (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
        printf("the guest's kernel is %s", line);
    }
    fclose(file);
    return rc;
}

static int32_t work(fcsnap_vm *vm, char **words, int *status)
{
    fcsnap_rpc *rpc = NULL;
    int32_t rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT_MS, &rpc);

    rc = rc != 0 ? rc : put_text(rpc, "from the host\n", "/input");
    rc = rc != 0 ? rc : run_program(rpc, words, status);
    rc = rc != 0 ? rc : get_release(rpc);
    rc = rc != 0 ? rc : fcsnap_guest_shutdown(rpc, 500, LIMIT_MS); /* The VM is gone then. */
    fcsnap_rpc_free(rpc);
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    fcsnap_vm *vm = NULL;
    int status = 1;
    int32_t rc;

    if (argc < 4) {
        fprintf(stderr, "usage: guest_exec KERNEL INITRD PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IONBF, 0); /* The program's words and ours in their order. */
    rc = fcsnap_host_new(&host);
    rc = rc < 0 ? rc : fcsnap_host_open(host);
    rc = rc < 0 ? rc : boot(host, argv, &vm);
    rc = rc < 0 ? rc : work(vm, argv + 3, &status);
    if (rc < 0) {
        fprintf(stderr, "guest_exec: %s\n", fcsnap_last_error());
    }
    fcsnap_vm_free(vm);
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) {
        fprintf(stderr, "guest_exec: %s\n", fcsnap_last_error());
        rc = 1;
    }
    fcsnap_host_free(host);
    return rc != 0 ? 1 : status;
}
