/* A disk that turns read-only under a program that has files open on it, and back again, which Linux itself does only when a disk
 * fails, and never back: preloaded into a gateway by T19. TGTRUNK_READ_ONLY names a folder and a file, with a colon in between;
 * while the file's first byte is 1, nothing in the folder can be written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[512];
static size_t length;
static const volatile char never, *is_on = &never;

__attribute__((constructor)) static void begin(void) {
    const char *told = getenv("TGTRUNK_READ_ONLY");
    const char *colon = told ? strchr(told, ':') : NULL;
    if (!colon || (size_t)(colon - told) >= sizeof folder) return;
    length = colon - told;
    memcpy(folder, told, length);
    int file = open(colon + 1, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *seen = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (seen != MAP_FAILED) is_on = seen;
}

static int is_inside(const char *path) {
    return length && strncmp(path, folder, length) == 0;
}

static int refuses(const char *path) {
    if (!*is_on || !is_inside(path)) return 0;
    errno = EROFS;
    return 1;
}

static int refuses_open(const char *path, int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && refuses(path);
}

static int refuses_file(int file) {
    char link[64], path[512];
    if (!*is_on) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t read = readlink(link, path, sizeof path - 1);
    if (read <= 0) return 0;
    path[read] = 0;
    return refuses(path);
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define OPENS(name)                                        \
    int name(const char *path, int flags, ...) {           \
        va_list more;                                      \
        va_start(more, flags);                             \
        int mode = va_arg(more, int);                      \
        va_end(more);                                      \
        REAL(name);                                        \
        return refuses_open(path, flags) ? -1 : real(path, flags, mode); \
    }
#define OPENS_AT(name)                                     \
    int name(int at, const char *path, int flags, ...) {   \
        va_list more;                                      \
        va_start(more, flags);                             \
        int mode = va_arg(more, int);                      \
        va_end(more);                                      \
        REAL(name);                                        \
        return refuses_open(path, flags) ? -1 : real(at, path, flags, mode); \
    }
#define WITH_FILE(type, name, arguments, words)            \
    type name arguments {                                  \
        REAL(name);                                        \
        return refuses_file(file) ? -1 : real words;       \
    }
#define WITH_PATH(name, arguments, words)                  \
    int name arguments {                                   \
        REAL(name);                                        \
        return refuses(path) ? -1 : real words;            \
    }

OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)
WITH_FILE(ssize_t, write, (int file, const void *bytes, size_t count), (file, bytes, count))
WITH_FILE(ssize_t, writev, (int file, const struct iovec *parts, int count), (file, parts, count))
WITH_FILE(ssize_t, pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at))
WITH_FILE(ssize_t, pwrite64, (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at))
WITH_FILE(int, ftruncate, (int file, off_t size), (file, size))
WITH_FILE(int, ftruncate64, (int file, off64_t size), (file, size))
WITH_FILE(int, fallocate, (int file, int mode, off_t at, off_t size), (file, mode, at, size))
WITH_FILE(int, fallocate64, (int file, int mode, off64_t at, off64_t size), (file, mode, at, size))
WITH_FILE(int, fchmod, (int file, mode_t mode), (file, mode))
WITH_FILE(int, fsync, (int file), (file))
WITH_FILE(int, fdatasync, (int file), (file))
WITH_PATH(unlink, (const char *path), (path))
WITH_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
WITH_PATH(rmdir, (const char *path), (path))
WITH_PATH(rename, (const char *path, const char *to), (path, to))
WITH_PATH(chmod, (const char *path, mode_t mode), (path, mode))

int access(const char *path, int mode) {
    REAL(access);
    return (mode & W_OK) && refuses(path) ? -1 : real(path, mode);
}

int faccessat(int at, const char *path, int mode, int flags) {
    REAL(faccessat);
    return (mode & W_OK) && refuses(path) ? -1 : real(at, path, mode, flags);
}
