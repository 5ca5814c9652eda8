#include "server/job_child.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
    LINE_MAX_BYTES = 1 << 20,
    READ_BYTES = 1 << 16,
    FIRST_FREE_FD = 4, /* behind standard input, output, error and the lock */
    EXEC_FAILED = 127,
};

static const char exe[] = "/proc/self/exe"; /* this program, even when its file has been replaced since */

/* What the child needs between fork and exec, made before: there nothing may be allocated. */
struct launch {
    const struct sb_job_child_options *options;
    char **environment, *arguments[5];
    int output, log, lock, null;
    pid_t parent;
};

/* ---- before fork ---- */

static void free_environment(char **environment)
{
    for (char **at = environment; at && *at; at++)
        free(*at);
    free(environment);
}

/* Ours without the server's own options (one is the key), with the number of threads. NULL: no memory. */
static char **make_environment(int threads)
{
    size_t count = 0, n = 0;
    while (environ[count])
        count++;
    char **made = calloc(count + 2, sizeof *made);
    if (!made)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "SIMBERT_", 8) != 0 && !(made[n++] = strdup(environ[i]))) {
            free_environment(made);
            return NULL;
        }
    if (asprintf(&made[n], "SIMBERT_THREADS=%d", threads) < 0) {
        made[n] = NULL;
        free_environment(made);
        return NULL;
    }
    return made;
}

static int open_in(const char *dir, const char *name, int flags)
{
    char *path = sb_path_join(dir, name);
    int fd = path ? open(path, flags | O_CREAT | O_CLOEXEC, 0644) : -1;
    free(path);
    return fd;
}

/* ---- in the child: only calls that are safe after fork ---- */

/* When memory runs out the kernel ends a trainer rather than the server. */
static void offer_to_be_killed(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t written = fd >= 0 ? write(fd, "800", 3) : 0;
    (void)written; /* without it the kernel chooses by size */
}

static void __attribute__((noreturn)) become_trainer(const struct launch *l)
{
    const struct sb_job_child_options *o = l->options;
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != l->parent) /* it died before the line above */
        _exit(EXEC_FAILED);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    offer_to_be_killed();
    errno = 0;
    if (nice(o->niceness) == -1 && errno != 0)
        _exit(EXEC_FAILED);
    struct rlimit memory = {o->memory_bytes, o->memory_bytes}, core = {0, 0};
    if ((o->memory_bytes && setrlimit(RLIMIT_DATA, &memory) != 0) || setrlimit(RLIMIT_CORE, &core) != 0)
        _exit(EXEC_FAILED);
    if (dup2(l->null, 0) < 0 || dup2(l->output, 1) < 0 || dup2(l->log, 2) < 0 || dup2(l->lock, 3) < 0 ||
        fcntl(3, F_SETFD, 0) != 0) /* dup2 of 3 onto itself would leave it closing at exec */
        _exit(EXEC_FAILED);
    close_range(FIRST_FREE_FD, ~0U, 0);
    execve(o->program ? o->program : exe, l->arguments, l->environment);
    _exit(EXEC_FAILED);
}

/* ---- start ---- */

static enum sb_status open_files(struct launch *l, int pipes[2], struct sb_error *error)
{
    const char *dir = l->options->dir;
    l->lock = open_in(dir, "lock", O_RDWR);
    if (l->lock < 0)
        return sb_fail(error, SB_IO, "cannot open %s/lock: %s", dir, strerror(errno));
    if (flock(l->lock, LOCK_EX | LOCK_NB) != 0)
        return sb_fail(error, SB_CONFLICT, "%s: its last trainer has not ended yet", dir);
    l->log = open_in(dir, "log.txt", O_WRONLY | O_APPEND);
    l->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (l->log < 0 || l->null < 0 || pipe2(pipes, O_CLOEXEC) != 0)
        return sb_fail(error, SB_IO, "cannot open the trainer's files in %s: %s", dir, strerror(errno));
    l->output = pipes[1];
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    return SB_OK;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

enum sb_status sb_job_child_start(struct sb_job_child *child, const struct sb_job_child_options *options,
                                  struct sb_error *error)
{
    static char name[] = "simbert", command[] = "finetune", job[] = "--job";
    int pipes[2] = {-1, -1};
    char *dir = strdup(options->dir);
    struct launch l = {.options = options,
                       .arguments = {name, command, job, dir, NULL},
                       .log = -1,
                       .lock = -1,
                       .null = -1,
                       .parent = getpid()};
    *child = (struct sb_job_child){.pid = -1, .output = -1};
    l.environment = make_environment(options->threads);
    enum sb_status status = dir && l.environment ? open_files(&l, pipes, error)
                                                 : sb_fail(error, SB_NO_MEMORY, "no memory to start a trainer");
    if (status == SB_OK) {
        child->pid = fork();
        if (child->pid == 0)
            become_trainer(&l);
        if (child->pid < 0)
            status = sb_fail(error, SB_NO_MEMORY, "a trainer can not be started: %s", strerror(errno));
        else
            (void)setpgid(child->pid, child->pid); /* in both, so that a signal sent at once finds the group */
    }
    if (status == SB_OK) {
        child->output = pipes[0];
        pipes[0] = -1;
    }
    close_all((int[]){pipes[0], pipes[1], l.log, l.lock, l.null}, 5);
    free_environment(l.environment);
    free(dir);
    return status;
}

/* ---- output ---- */

static void take_piece(struct sb_job_child *child, const char *text, size_t size)
{
    if (!child->skipping && child->line.length + size > LINE_MAX_BYTES) {
        child->skipping = true;
        sb_buffer_reset(&child->line);
    }
    if (!child->skipping)
        sb_buffer_bytes(&child->line, text, size);
}

bool sb_job_child_read(struct sb_job_child *child, void (*line)(void *context, const char *text, size_t size),
                       void *context)
{
    char bytes[READ_BYTES];
    ssize_t n = child->output >= 0 ? read(child->output, bytes, sizeof bytes) : -1;
    if (n < 0)
        return child->output >= 0 && errno == EINTR;
    if (n == 0) {
        close(child->output);
        child->output = -1;
        return false;
    }
    const char *at = bytes, *end = bytes + n, *stop;
    for (; (stop = memchr(at, '\n', (size_t)(end - at))); at = stop + 1) {
        take_piece(child, at, (size_t)(stop - at));
        if (!child->skipping && !child->line.failed)
            line(context, child->line.data ? child->line.data : "", child->line.length);
        child->skipping = false;
        sb_buffer_free(&child->line); /* also forgets a failure */
    }
    take_piece(child, at, (size_t)(end - at));
    return true;
}

void sb_job_child_last_words(const char *dir, char *text, size_t size)
{
    char tail[1024];
    ssize_t n = -1;
    int fd = open_in(dir, "log.txt", O_RDONLY);
    text[0] = '\0';
    if (fd < 0)
        return;
    off_t length = lseek(fd, 0, SEEK_END);
    if (length > 0)
        n = pread(fd, tail, sizeof tail - 1, length > (off_t)sizeof tail - 1 ? length - (off_t)sizeof tail + 1 : 0);
    close(fd);
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == ' '))
        n--;
    if (n <= 0)
        return;
    tail[n] = '\0';
    const char *last = strrchr(tail, '\n');
    snprintf(text, size, "%s", last ? last + 1 : tail);
}

/* ---- end ---- */

void sb_job_child_signal(const struct sb_job_child *child, int number)
{
    if (child->pid > 0)
        kill(-child->pid, number);
}

bool sb_job_child_ended(const struct sb_job_child *child, int *status)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return false;
    sb_job_child_signal(child, SIGKILL); /* before it is reaped: until then nobody else can have its number */
    return waitpid(child->pid, status, 0) == child->pid;
}

void sb_job_child_clear(struct sb_job_child *child)
{
    if (child->output >= 0)
        close(child->output);
    sb_buffer_free(&child->line);
    *child = (struct sb_job_child){.pid = -1, .output = -1};
}
