/*
 * process.h - tells a process from those that are forked from it, and a thread's
 * own stack from others.
 */
#ifndef STEK_PROCESS_H
#define STEK_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* A process, as it was when stekc_process was called in it. */
struct stekc_process {
    pid_t pid;
    uint64_t number;
};

/* stekc_process names this process. Any thread. */
struct stekc_process stekc_process(void);

/* stekc_process_number is the number of this process, another in every process
   forked from it; 0 if the kernel cannot tell them apart. Any thread; without a
   system call but for the first time. */
uint64_t stekc_process_number(void);

/* stekc_is_this_process is false in every process forked from that one, also
   if it has come by the same pid. Any thread; without a system call where
   stekc_process_number is not 0. */
int stekc_is_this_process(struct stekc_process process);

/* stekc_stack tells whether this thread runs on the stack that it was started with:
   a coroutine, such as a job of OpenSSL's, has another. The system is asked once in
   each thread. */
enum stekc_stack { STEKC_STACK_OWN, STEKC_STACK_OTHER, STEKC_STACK_UNKNOWN };
enum stekc_stack stekc_stack(void);

#endif
