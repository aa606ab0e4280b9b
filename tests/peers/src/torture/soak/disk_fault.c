/* A disk that fails a program at the n-th write or fsync of its databases: preloaded into a gateway by T18.
 * TGTRUNK_DISK_FAULT holds a word, n, and for how many of them it fails:
 *   kill    the program is killed before it
 *   torn    half of it is written, then the program is killed
 *   power   the program is killed, and whatever was written since the last fsync is gone
 *   eio, enospc    it fails so, and so do those that follow
 * The file of TGTRUNK_DISK_FAULT_TOLD gets a 1 when the first of them comes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char word[16];
static long first, span, seen;

/* What a write covered, for a disk that forgets it. */
struct undo {
    char path[512];
    off_t at, size;
    size_t length;
    char *before;
    struct undo *older;
};
static struct undo *undos;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    const char *plan = getenv("TGTRUNK_DISK_FAULT");
    if (plan) sscanf(plan, "%15s %ld %ld", word, &first, &span);
}

/* Whether a descriptor is a database's, and not its shared memory; tells its path. */
static int is_database(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 511);
    if (length <= 0) return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && strncmp(name, "/gateway.db", 11) == 0 && !strstr(name, "-shm");
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static void forget(void) {
    for (struct undo *undo = undos; undo; undo = undo->older) {
        FILE *file = fopen(undo->path, "r+");
        if (!file) continue;
        if (undo->length) real_pwrite(fileno(file), undo->before, undo->length, undo->at);
        real_ftruncate(fileno(file), undo->size);
        fclose(file);
    }
}

static void remember(int fd, const char *path, size_t count, off_t at) {
    struct stat stat;
    if (strcmp(word, "power") || fstat(fd, &stat)) return;
    struct undo *undo = calloc(1, sizeof *undo);
    strcpy(undo->path, path);
    undo->at = at;
    undo->size = stat.st_size;
    undo->before = malloc(count ? count : 1);
    ssize_t had = pread(fd, undo->before, count, at);
    undo->length = had > 0 ? had : 0;
    undo->older = undos;
    undos = undo;
}

static void is_safe(const char *path) {
    for (struct undo **at = &undos; *at;) {
        struct undo *undo = *at;
        if (strcmp(undo->path, path)) {
            at = &undo->older;
            continue;
        }
        *at = undo->older;
        free(undo->before);
        free(undo);
    }
}

/* So that a fault that never came is not counted as one. */
static void tell(void) {
    const char *path = getenv("TGTRUNK_DISK_FAULT_TOLD");
    const uint64_t one = 1;
    int fd = path ? open(path, O_WRONLY) : -1;
    if (fd < 0) return;
    real_pwrite(fd, &one, sizeof one, 0);
    close(fd);
}

/* The error of this one, 0 where it goes on, -1 where half of it is to be written. */
static int fate(void) {
    seen++;
    if (!first || seen < first) return 0;
    if (seen == first) tell();
    if (!strcmp(word, "eio")) return seen < first + span ? EIO : 0;
    if (!strcmp(word, "enospc")) return seen < first + span ? ENOSPC : 0;
    if (!strcmp(word, "torn")) return -1;
    if (!strcmp(word, "power")) forget();
    die();
    return 0;
}

static ssize_t put(int fd, const void *bytes, size_t count, off_t at, int moves) {
    char path[512];
    if (!is_database(fd, path))
        return moves ? real_write(fd, bytes, count) : real_pwrite(fd, bytes, count, at);
    pthread_mutex_lock(&lock);
    int error = fate();
    if (error < 0) {
        real_pwrite(fd, bytes, count / 2, at);
        die();
    }
    ssize_t done = -1;
    if (!error) {
        remember(fd, path, count, at);
        done = moves ? real_write(fd, bytes, count) : real_pwrite(fd, bytes, count, at);
    }
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return put(fd, bytes, count, at, 0); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) { return put(fd, bytes, count, at, 0); }
ssize_t write(int fd, const void *bytes, size_t count) {
    char path[512];
    if (!is_database(fd, path)) return real_write(fd, bytes, count);
    return put(fd, bytes, count, lseek(fd, 0, SEEK_CUR), 1);
}

static int settle(int fd, int (*real)(int)) {
    char path[512];
    if (!is_database(fd, path)) return real(fd);
    pthread_mutex_lock(&lock);
    int error = fate(), done = -1;
    if (error < 0) die();
    if (!error && !(done = real(fd))) is_safe(path);
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return done;
}

int fsync(int fd) { return settle(fd, real_fsync); }
int fdatasync(int fd) { return settle(fd, real_fdatasync); }

static int cut(int fd, off_t size) {
    char path[512];
    if (!is_database(fd, path)) return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    int error = fate(), done = -1;
    if (error < 0) die();
    struct stat stat;
    if (!error) {
        if (!fstat(fd, &stat) && stat.st_size > size) remember(fd, path, stat.st_size - size, size);
        done = real_ftruncate(fd, size);
    }
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return done;
}

int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off_t size) { return cut(fd, size); }
