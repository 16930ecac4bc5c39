/*
 * agent.c - a double fork and exec that the server does not notice.
 */
#define _GNU_SOURCE
#include "agent.h"
#include "receive.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATIENCE_MS = 5000 };

/* Where the descriptors begin that stay in the server. */
enum { HIGH = 100 };

/* The descriptors of the agent, after the three standard ones. */
enum { FD_KEYS = 3, FD_COUNTS, FD_LIFELINE, FD_READY, FD_FIRST_OTHER };

enum { MOST_ARGUMENTS = 8 };

/* What the new process needs, made before there is one: between fork and exec
   of a process with threads nothing may be allocated. */
struct plan {
    const char *program;
    char *arguments[MOST_ARGUMENTS];
    char **environment;
    int fd[FD_FIRST_OTHER];
};

static int begins(const char *variable, const char *name)
{
    size_t size = strlen(name);

    return strncmp(variable, name, size) == 0 && variable[size] == '=';
}

/* agent_environment is environ without what loads this library and what is for
   the server alone, and with the settings as they were copied; a store's URI may
   hold a password, which is nothing for a command line. The caller frees the
   array alone. */
static char **agent_environment(const struct settings *settings)
{
    static char store[sizeof settings->store + sizeof "STEK_STORE="];
    static char metrics[sizeof settings->metrics + sizeof "STEK_METRICS="];
    static const char *const others[] = {"LD_PRELOAD", "NOTIFY_SOCKET", "STEK_TABLE", "STEK_STORE",
                                         "STEK_METRICS"};
    size_t count = 0, kept = 0;
    char **copy;

    while (environ != NULL && environ[count] != NULL)
        count++;
    copy = calloc(count + 3, sizeof *copy);
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        int other = 0;

        for (size_t j = 0; j < sizeof others / sizeof others[0]; j++)
            other |= begins(environ[i], others[j]);
        if (!other)
            copy[kept++] = environ[i];
    }
    snprintf(store, sizeof store, "STEK_STORE=%s", settings->store);
    snprintf(metrics, sizeof metrics, "STEK_METRICS=%s", settings->metrics);
    copy[kept++] = store;
    copy[kept++] = metrics;
    return copy;
}

static void make_arguments(struct plan *plan)
{
    int n = 0;

    plan->arguments[n++] = (char *)"stek";
    plan->arguments[n++] = (char *)"agent";
    plan->arguments[n++] = (char *)"--table=fd:3,4";
    plan->arguments[n++] = (char *)"--lifeline-fd=5";
    plan->arguments[n++] = (char *)"--ready-fd=6";
    plan->arguments[n] = NULL;
}

/* fork_quietly is fork(2) without SIGCHLD to the parent, and without the
   handlers of pthread_atfork(3). */
static pid_t fork_quietly(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

static void close_others(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, FD_FIRST_OTHER, ~0U, 0) == 0)
        return;
#endif
    for (int fd = FD_FIRST_OTHER; fd < 65536; fd++)
        close(fd);
}

/* place_descriptors gives each its number, from copies above all numbers. */
static int place_descriptors(struct plan *plan)
{
    int null;

    for (int i = FD_KEYS; i < FD_FIRST_OTHER; i++) {
        plan->fd[i] = fcntl(plan->fd[i], F_DUPFD, FD_FIRST_OTHER);
        if (plan->fd[i] < 0)
            return 0;
    }
    for (int i = FD_KEYS; i < FD_FIRST_OTHER; i++)
        if (dup2(plan->fd[i], i) < 0)
            return 0;
    null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
        if (!say_is_heard())
            dup2(null, 2);
    }
    close_others();
    return 1;
}

/* become_agent runs in the child, in which nothing of the server may be touched. */
static void become_agent(struct plan *plan)
{
    sigset_t none;

    setsid();
    if (fork_quietly() != 0)
        _exit(0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir("/") == 0 && place_descriptors(plan))
        execve(plan->program, plan->arguments, plan->environment);
    _exit(127);
}

/* wait_for_keys reads the name of the agent's socket, which it writes when there are
   keys. */
static int wait_for_keys(int ready, const char *program, char *name, char *text, size_t size)
{
    struct pollfd poll_for = {.fd = ready, .events = POLLIN};
    ssize_t got;
    int result;

    do
        result = poll(&poll_for, 1, PATIENCE_MS);
    while (result < 0 && errno == EINTR);
    if (result == 0) {
        snprintf(text, size, "%.150s has no keys after %d s", program, PATIENCE_MS / 1000);
        return 0;
    }
    got = result > 0 ? read(ready, name, SOCKET_NAME_SIZE - 1) : -1;
    if (got <= 0) {
        snprintf(text, size, "%.150s did not start as an agent", program);
        return 0;
    }
    name[got] = '\0';
    return 1;
}

/* run starts the process. No handler of the server's runs in it. */
static int run(struct plan *plan, char *text, size_t size)
{
    sigset_t all, before;
    pid_t child;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    child = fork_quietly();
    if (child == 0)
        become_agent(plan);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
        snprintf(text, size, "no process for an agent: %s", strerror(errno));
        return 0;
    }
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return 1;
}

/* copy_high gives a file a high number, or where there is none any but those of
   standard input, output and error. */
static int copy_high(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);

    return copy >= 0 ? copy : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* open_pipe opens a pipe with numbers that no server expects to be its own. */
static int open_pipe(int ends[2])
{
    int low[2], saved;

    if (pipe2(low, O_CLOEXEC) != 0)
        return 0;
    ends[0] = copy_high(low[0]);
    ends[1] = copy_high(low[1]);
    saved = errno;
    close(low[0]);
    close(low[1]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return 1;
    close(ends[0]);
    close(ends[1]);
    errno = saved;
    return 0;
}

/* adopts_orphans tells that the agent would become a child of this process, which
   may wait for all its children before it ends. */
static int adopts_orphans(void)
{
    int subreaper = 0;

    prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
    return getpid() == 1 || subreaper;
}

int agent_start(const struct settings *settings, int keys_file, int counts_file, char *name,
                int *pulse, char *text, size_t size)
{
    int lifeline[2], ready[2], started;
    struct plan plan = {.program = settings->agent};

    if (adopts_orphans()) {
        snprintf(text, size, "this process is the parent of all orphans, so an agent would become "
                             "its child: use stek run");
        return 0;
    }
    if (!open_pipe(lifeline)) {
        snprintf(text, size, "no pipe to an agent: %s", strerror(errno));
        return 0;
    }
    if (!open_pipe(ready)) {
        snprintf(text, size, "no pipe to an agent: %s", strerror(errno));
        close(lifeline[0]);
        close(lifeline[1]);
        return 0;
    }
    fcntl(ready[0], F_SETFL, O_NONBLOCK); /* who asks for the pulse does not wait */
    make_arguments(&plan);
    plan.environment = agent_environment(settings);
    plan.fd[FD_KEYS] = keys_file;
    plan.fd[FD_COUNTS] = counts_file;
    plan.fd[FD_LIFELINE] = lifeline[0];
    plan.fd[FD_READY] = ready[1];
    started = run(&plan, text, size);
    free(plan.environment);
    close(lifeline[0]);
    close(ready[1]);
    started = started && wait_for_keys(ready[0], settings->agent, name, text, size);
    if (started) {
        *pulse = ready[0]; /* it and the lifeline stay open to the end of this process */
        return 1;
    }
    close(ready[0]);
    close(lifeline[1]);
    return 0;
}
