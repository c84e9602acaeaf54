// Between a program and the C library: counts the calls by which it changes files, and at one of them lets the system fail,
// or ends the program as a loss of power would.
//
//   FAULT_AT=N        at the N-th such call, from 1 (0: only count)
//   FAULT=kill        end the process just before it
//   FAULT=after       end it just after it
//   FAULT=half        end it after half of what was to be written
//   FAULT=28          fail with this number (ENOSPC), that call and all later ones of its kind on files
//   FAULT_COUNT=FILE  write how many there were, at the end
//
// Writing to what is no file (a terminal, a pipe) does not count, as nothing of it outlasts the process.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static long count, at = -1;
static int failing;
static const char *what;

static void begin(void) {
    if (at >= 0) return;
    const char *number = getenv("FAULT_AT");
    what = getenv("FAULT");
    at = number ? atol(number) : 0;
    if (!what) what = "";
}

static void end_now(void) { syscall(SYS_kill, syscall(SYS_getpid), SIGKILL); }

// What is to become of a call: 0 to make it, an error to fail with, -1 to end after it, -2 after half of it.
static int next(void) {
    begin();
    const long number = __sync_add_and_fetch(&count, 1);
    if (failing) return failing;
    if (number != at) return 0;
    if (!strcmp(what, "kill")) end_now();
    if (!strcmp(what, "after")) return -1;
    if (!strcmp(what, "half")) return -2;
    return failing = atoi(what);
}

static int is_file(int fd) {
    struct stat about;
    return fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define MAKE(call)                      \
    const int fate = next();            \
    if (fate > 0) {                     \
        errno = fate;                   \
        return -1;                      \
    }                                   \
    const __typeof__(call) made = call; \
    if (fate < 0) end_now();            \
    return made

ssize_t write(int fd, const void *bytes, size_t length) {
    if (!is_file(fd)) return REAL(write)(fd, bytes, length);
    const int fate = next();
    if (fate > 0) {
        errno = fate;
        return -1;
    }
    const ssize_t made = REAL(write)(fd, bytes, fate == -2 ? length / 2 : length);
    if (fate < 0) end_now();
    return made;
}

int fsync(int fd) { MAKE(REAL(fsync)(fd)); }
int fdatasync(int fd) { MAKE(REAL(fdatasync)(fd)); }
int ftruncate(int fd, off_t length) { MAKE(REAL(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { MAKE(REAL(ftruncate64)(fd, length)); }
int rename(const char *from, const char *to) { MAKE(REAL(rename)(from, to)); }
int unlink(const char *path) { MAKE(REAL(unlink)(path)); }
int mkdir(const char *path, mode_t mode) { MAKE(REAL(mkdir)(path, mode)); }

// Opening counts where it may make a file.
static mode_t mode_of(int flags, va_list rest) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (!(flags & O_CREAT)) return REAL(open64)(path, flags, mode);
    MAKE(REAL(open64)(path, flags, mode));
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (!(flags & O_CREAT)) return REAL(open)(path, flags, mode);
    MAKE(REAL(open)(path, flags, mode));
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("FAULT_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    const long all = count;
    fprintf(file, "%ld\n", all);
    fclose(file);
}
