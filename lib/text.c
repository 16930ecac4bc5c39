/*
 * text.c - statuses, warnings and the last error in words.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[1024];

stek_status stek_fail(stek_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

const char *stek_error(void)
{
    return last_error;
}

const char *stek_version(void)
{
    return STEK_VERSION;
}

const char *stek_status_text(stek_status status)
{
    switch (status) {
    case STEK_OK:
        return "success";
    case STEK_ERR_ARG:
        return "a pointer is NULL or a value is out of range";
    case STEK_ERR_HANDLE:
        return "the store is closed, or never was one";
    case STEK_ERR_URI:
        return "the store URI cannot be understood";
    case STEK_ERR_FORKED:
        return "the store is that of the parent process";
    case STEK_ERR_LIMIT:
        return "too few threads, file descriptors, bytes of address space, or stores are left";
    case STEK_ERR_LOAD:
        return "libstek-go.so cannot be loaded, or is of another version";
    case STEK_ERR_BACKEND:
        return "the backend failed";
    case STEK_ERR_LIBSSL:
        return "no libssl in this process, an unsupported one, or a second one";
    case STEK_ERR_CONTEXT:
        return "not an SSL_CTX, or one that was freed";
    case STEK_ERR_ATTACHED:
        return "the SSL_CTX has a store already";
    case STEK_ERR_DETACHED:
        return "the SSL_CTX has no store";
    case STEK_ERR_SPACE:
        return "the array is too small";
    case STEK_ERR_SYSTEM:
        return "out of memory, or OpenSSL or the system refused a call";
    }
    return "unknown status";
}

const char *stek_warning_text(stek_warning warning)
{
    switch (warning) {
    case STEK_WARN_TICKETS_OFF:
        return "tickets are switched off by SSL_OP_NO_TICKET: clear it with SSL_CTX_clear_options";
    case STEK_WARN_STATEFUL:
        return "early data with replay protection makes TLS 1.3 tickets stateful: set "
               "SSL_OP_NO_ANTI_REPLAY or max_early_data 0";
    case STEK_WARN_NO_TICKETS_13:
        return "no TLS 1.3 tickets are sent: SSL_CTX_set_num_tickets is 0";
    case STEK_WARN_TIMEOUT:
        return "sessions live longer than the keys decrypt their tickets: lower "
               "SSL_CTX_set_timeout or raise the lifetime";
    }
    return "unknown warning";
}
