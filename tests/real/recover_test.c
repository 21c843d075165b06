/* SPDX-License-Identifier: Apache-2.0 */
/* A program is killed anywhere: the next one finds whole snapshots, and nothing else. */
#include "support.h"

#include "base/failpoint.h"
#include "base/id.h"

#include <signal.h>
#include <sys/wait.h>

enum { GUEST_MIB = 32, ROUNDS = 3, SEED = 6, GONE_MS = 1000 };

/* Everywhere on the way of the victim, in this order; @N where it comes by more than once. */
static const char *const places[] = {
    "boot.check",      "boot.spawn",          "process.directory@1", "spawn.clone@1",
    "boot.api",        "boot.library",        "boot.version",        "boot.plan",
    "boot.configure",  "boot.instance",       "capture.turn",        "capture.begin",
    "store.begin",     "capture.known",       "capture.pause",       "capture.create",
    "capture.resume",  "capture.seal",        "capture.index",       "index.write",
    "capture.digest",  "capture.manifest",    "store.sync",          "store.rename",
    "store.renamed",   "capture.publish",     "snapshot.open",       "restore.check",
    "restore.spawn",   "process.directory@2", "spawn.clone@2",       "restore.api",
    "restore.version", "restore.links",       "restore.image",       "restore.files",
    "restore.load",    "pager.handshake",     "pager.copy",          "restore.populate",
    "restore.publish", "teardown.session",    "teardown.remove",     "sweep.remove@2",
};

enum { PLACES = sizeof(places) / sizeof(places[0]) };

/* The program: boot, capture, restore, end one VM, delete the snapshot. */
static int be_victim(const char *dir)
{
    fcsnap_config *config;
    fcsnap_host *host;
    fcsnap_vm *vm;
    fcsnap_vm *clone;
    fcsnap_snapshot *snapshot;

    if (fcsnap_host_new(&host) < 0 || fcsnap_host_set_state_dir(host, dir) < 0 ||
        fcsnap_host_open(host) < 0 || fcsnap_config_new(&config) < 0 ||
        fcsnap_config_set_kernel(config, getenv("FCSNAP_GUEST")) < 0 ||
        fcsnap_config_set_mem_mib(config, GUEST_MIB) < 0 ||
        fcsnap_vm_boot(host, config, LIMIT, &vm) < 0 || try_fill(vm, 0, PAGES(1), SEED) < 0 ||
        fcsnap_snapshot_create(vm, LIMIT, &snapshot) < 0 ||
        fcsnap_vm_restore(snapshot, NULL, LIMIT, &clone) < 0 ||
        try_filled(clone, 0, PAGES(1), SEED) < 0 || fcsnap_vm_stop(vm, LIMIT) < 0 ||
        fcsnap_snapshot_delete(snapshot) < 0) {
        printf("%s\n", fcsnap_last_error());
        return 1;
    }
    return 0;
}

static pid_t start_victim(const char *place, const char *action, int *out_fd)
{
    char specification[96];
    const char *at = strchr(place, '@');
    int length = at != NULL ? (int)(at - place) : (int)strlen(place);
    pid_t pid;

    snprintf(specification, sizeof(specification), "%.*s=%s%s", length, place, action,
             at != NULL ? at : "");
    /* This program has read its own before. */
    failpoint_clear();
    setenv("FCSNAP_FAILPOINTS", specification, 1);
    pid = run_self(bed.dir, out_fd);
    unsetenv("FCSNAP_FAILPOINTS");
    return pid;
}

static void expect_no_firecracker(const char *place)
{
    int left = bed_await_processes(0, GONE_MS);

    if (left > 0) {
        fail_msg("%s: %d Firecrackers live", place, left);
    }
}

static void kill_at(const char *place)
{
    char output[600];
    int out_fd;
    pid_t pid = start_victim(place, "kill", &out_fd);
    int status = read_self(pid, out_fd, output, sizeof(output));

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fail_msg("%s: status %x, %s", place, (unsigned)status, output);
    }
    expect_no_firecracker(place);
}

/* All that are listed are whole. They are deleted, so that the next place starts from nothing. */
static int check_snapshots(void)
{
    char path[300];
    int count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/snapshot", bed.dir);
    dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        fcsnap_snapshot *snapshot;

        if (id_valid(entry->d_name)) {
            CHECK_OK(fcsnap_snapshot_open(bed.host, entry->d_name, &snapshot));
            CHECK_OK(fcsnap_snapshot_verify(snapshot, LIMIT));
            CHECK_OK(fcsnap_snapshot_delete(snapshot));
            fcsnap_snapshot_free(snapshot);
            count++;
        }
    }
    closedir(dir);
    return count;
}

static void test_killed_anywhere(void **state)
{
    int snapshots = 0;

    (void)state;
    bed_close();
    for (int i = 0; i < ROUNDS * PLACES; i++) {
        kill_at(places[i % PLACES]);
        bed_open();
        CHECK_OK(fcsnap_host_recover(bed.host, LIMIT));
        bed_expect(0);
        snapshots += check_snapshots();
        bed_expect_snapshots(0);
        bed_close();
    }
    /* From the rename until the removal, and no other. */
    assert_int_equal(snapshots, ROUNDS * 19);
}

/* Not even one that opens and closes at once waits, or is in the way of the next. */
static void test_closed_at_once(void **state)
{
    (void)state;
    bed_close();
    kill_at("capture.seal");
    bed_open();
    CHECK_OK(fcsnap_host_close(bed.host, 0));
    fcsnap_host_free(bed.host);
    bed_open();
    CHECK_OK(fcsnap_host_recover(bed.host, LIMIT));
    bed_expect(0);
    bed_expect_snapshots(0);
}

/* The path of the snapshot that is being written, once it has its manifest; else empty. */
static void find_begun(char out[600])
{
    char path[300];
    char manifest[620];
    DIR *dir;

    snprintf(path, sizeof(path), "%s/snapshot", bed.dir);
    dir = opendir(path);
    assert_non_null(dir);
    out[0] = '\0';
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        snprintf(manifest, sizeof(manifest), "%s/%s/manifest.json", path, entry->d_name);
        if (strncmp(entry->d_name, ".tmp-", 5) == 0 && access(manifest, F_OK) == 0) {
            snprintf(out, 600, "%s/%s", path, entry->d_name);
        }
    }
    closedir(dir);
}

static void expect_entries(int vms, int marks_and_begun)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/vm", bed.dir);
    assert_int_equal(count_entries(path, ""), vms);
    snprintf(path, sizeof(path), "%s/snapshot", bed.dir);
    assert_int_equal(count_entries(path, "."), marks_and_begun);
}

/* Two hosts here and one in another program, which is in the middle of a capture. */
static void test_living_neighbours(void **state)
{
    int64_t until = now_ms() + LIMIT;
    fcsnap_vm *ours = boot(GUEST_MIB);
    fcsnap_vm *theirs;
    fcsnap_host *first = bed.host;
    fcsnap_host *second;
    fcsnap_snapshot *snapshot;
    char begun[600];
    int status;
    int out_fd;
    pid_t pid;

    (void)state;
    CHECK_OK(fcsnap_host_new(&second));
    CHECK_OK(fcsnap_host_set_state_dir(second, bed.dir));
    CHECK_OK(fcsnap_host_open(second));
    bed.host = second;
    theirs = boot(GUEST_MIB);
    bed.host = first;
    fill(ours, 0, PAGES(1), SEED);
    fill(theirs, 0, PAGES(1), SEED);

    pid = start_victim("store.sync", "delay:600000", &out_fd);
    do {
        find_begun(begun);
    } while (begun[0] == '\0' && now_ms() < until);
    CHECK_OK(fcsnap_host_recover(first, LIMIT));
    CHECK_OK(fcsnap_host_recover(second, LIMIT));
    expect_entries(3, 2);
    assert_int_equal(bed_processes(), 3);
    CHECK_ERR(fcsnap_snapshot_open(first, begun, &snapshot), FCSNAP_ESNAPSHOT, "being written");

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(out_fd);
    CHECK_OK(fcsnap_host_recover(second, LIMIT));
    expect_entries(2, 0);
    expect_filled(ours, 0, PAGES(1), SEED);
    expect_filled(theirs, 0, PAGES(1), SEED);
    stop(ours);
    stop(theirs);
    CHECK_OK(fcsnap_host_close(second, LIMIT));
    fcsnap_host_free(second);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_killed_anywhere),
        BED_TEST(test_closed_at_once),
        BED_TEST(test_living_neighbours),
    };

    if (argc > 1) {
        return be_victim(argv[1]);
    }
    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
