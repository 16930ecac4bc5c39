/*
 * agent.c - a double fork and exec that the server does not notice.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATIENCE_MS = 5000 };

/* The descriptors of the agent, after the three standard ones. */
enum { FD_KEYS = 3, FD_COUNTS, FD_LIFELINE, FD_READY, FD_FIRST_OTHER };

enum { MOST_ARGUMENTS = 16 };

/* What the new process needs, made before there is one: between fork and exec
   of a process with threads nothing may be allocated. */
struct plan {
    const char *program;
    char *arguments[MOST_ARGUMENTS];
    char **environment;
    int fd[FD_FIRST_OTHER];
};

/* agent_environment is environ without what loads this library. The caller
   frees the array alone. */
static char **agent_environment(void)
{
    size_t count = 0, kept = 0;
    char **copy;

    while (environ != NULL && environ[count] != NULL)
        count++;
    copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 &&
            strncmp(environ[i], "NOTIFY_SOCKET=", 14) != 0)
            copy[kept++] = environ[i];
    return copy;
}

static void make_arguments(struct plan *plan, const struct settings *settings)
{
    int n = 0;

    plan->arguments[n++] = (char *)"stek";
    plan->arguments[n++] = (char *)"agent";
    plan->arguments[n++] = (char *)"--store";
    plan->arguments[n++] = (char *)settings->store;
    plan->arguments[n++] = (char *)"--table=fd:3,4";
    plan->arguments[n++] = (char *)"--lifeline-fd=5";
    plan->arguments[n++] = (char *)"--ready-fd=6";
    if (settings->metrics[0] != '\0') {
        plan->arguments[n++] = (char *)"--metrics";
        plan->arguments[n++] = (char *)settings->metrics;
    }
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
    int null = open("/dev/null", O_RDWR);

    for (int i = FD_KEYS; i < FD_FIRST_OTHER; i++) {
        plan->fd[i] = fcntl(plan->fd[i], F_DUPFD, FD_FIRST_OTHER);
        if (plan->fd[i] < 0)
            return 0;
    }
    for (int i = FD_KEYS; i < FD_FIRST_OTHER; i++)
        if (dup2(plan->fd[i], i) < 0)
            return 0;
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
        if (fcntl(2, F_GETFD) < 0)
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

/* wait_for_keys reads the number of the agent's process, which it writes when there
   are keys. */
static int wait_for_keys(int ready, const char *program, long *pid, char *text, size_t size)
{
    struct pollfd poll_for = {.fd = ready, .events = POLLIN};
    char number[24];
    ssize_t got;
    int result;

    do
        result = poll(&poll_for, 1, PATIENCE_MS);
    while (result < 0 && errno == EINTR);
    if (result == 0) {
        snprintf(text, size, "%.150s has no keys after %d s", program, PATIENCE_MS / 1000);
        return 0;
    }
    got = result > 0 ? read(ready, number, sizeof number - 1) : -1;
    if (got <= 0) {
        snprintf(text, size, "%.150s did not start as an agent", program);
        return 0;
    }
    number[got] = '\0';
    *pid = strtol(number, NULL, 10);
    return 1;
}

static int run(struct plan *plan, char *text, size_t size)
{
    pid_t child = fork_quietly();

    if (child == 0)
        become_agent(plan);
    if (child < 0) {
        snprintf(text, size, "no process for an agent: %s", strerror(errno));
        return 0;
    }
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return 1;
}

static void close_both(int pipe[2])
{
    close(pipe[0]);
    close(pipe[1]);
}

int agent_start(const struct settings *settings, int keys_file, int counts_file,
                struct agent *agent, char *text, size_t size)
{
    int lifeline[2], ready[2], started;
    struct plan plan = {.program = settings->agent};

    if (pipe2(lifeline, O_CLOEXEC) != 0) {
        snprintf(text, size, "no pipe to an agent: %s", strerror(errno));
        return 0;
    }
    if (pipe2(ready, O_CLOEXEC) != 0) {
        snprintf(text, size, "no pipe to an agent: %s", strerror(errno));
        close_both(lifeline);
        return 0;
    }
    make_arguments(&plan, settings);
    plan.environment = agent_environment();
    plan.fd[FD_KEYS] = keys_file;
    plan.fd[FD_COUNTS] = counts_file;
    plan.fd[FD_LIFELINE] = lifeline[0];
    plan.fd[FD_READY] = ready[1];
    started = run(&plan, text, size);
    free(plan.environment);
    close(lifeline[0]);
    close(ready[1]);
    if (!started || !wait_for_keys(ready[0], settings->agent, &agent->pid, text, size)) {
        close(lifeline[1]);
        close(ready[0]);
        return 0;
    }
    agent->lifeline = lifeline[1];
    agent->ready = ready[0];
    return 1;
}

int agent_has_ended(const struct agent *agent)
{
    struct pollfd poll_for = {.fd = agent->ready, .events = 0};

    return poll(&poll_for, 1, 0) == 1 && poll_for.revents & POLLHUP;
}
