/* Preloaded into a program: while the file that WHARF_FAILING_SYNC names exists, every fsync and
 * fdatasync fails with EIO, as the kernel reports a disk that took pages and could not keep them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int through(const char *name, int fd)
{
    const char *trigger = getenv("WHARF_FAILING_SYNC");
    if (trigger && access(trigger, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd) { return through("fsync", fd); }
int fdatasync(int fd) { return through("fdatasync", fd); }
