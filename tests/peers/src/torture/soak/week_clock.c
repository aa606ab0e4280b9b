/* A clock that is ahead of the machine's, by what a file says: preloaded into a gateway whose days are to pass in minutes.
 * TGTRUNK_AHEAD names the file, which holds nanoseconds as a number of 64 bits. Both clocks leap together, as they do for a
 * program that slept; whoever waits for events looks often whether that is long enough by now.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
/* Nobody waits longer at a time, in milliseconds. */
#define LOOK 2

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);
static const volatile int64_t none, *ahead = &none;

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
    const char *path = getenv("TGTRUNK_AHEAD");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *seen = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (seen != MAP_FAILED) ahead = seen;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_clock_gettime(clock, time);
    if (failed || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) return failed;
    int64_t since = time->tv_sec * SECOND + time->tv_nsec + *ahead;
    time->tv_sec = since / SECOND;
    time->tv_nsec = since % SECOND;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}

int epoll_wait(int set, struct epoll_event *events, int most, int timeout) {
    return real_epoll_wait(set, events, most, timeout < 0 || timeout > LOOK ? LOOK : timeout);
}
