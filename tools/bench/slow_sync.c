/* Makes each sync of the program that preloads it take SLOW_SYNC_US longer, as a worse disk would.
 *
 *     cc -shared -fPIC -O2 -o slow_sync.so slow_sync.c -ldl
 *     SLOW_SYNC_US=5000 LD_PRELOAD=./slow_sync.so PROGRAM
 *
 * A write through a descriptor with O_DSYNC is a sync too: LMDB writes its last page so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void wait_as_a_disk(void) {
    const char *text = getenv("SLOW_SYNC_US");
    if (text) usleep((useconds_t)atoi(text));
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    wait_as_a_disk();
    return result;
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    wait_as_a_disk();
    return result;
}

int msync(void *start, size_t length, int flags) {
    int (*real)(void *, size_t, int) = dlsym(RTLD_NEXT, "msync");
    int result = real(start, length, flags);
    if (flags & MS_SYNC) wait_as_a_disk();
    return result;
}

static void wait_if_synced(int fd) {
    if (fcntl(fd, F_GETFL) & O_DSYNC) wait_as_a_disk();
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    ssize_t result = real(fd, data, size, at);
    wait_if_synced(fd);
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return pwrite64(fd, data, size, at);
}
