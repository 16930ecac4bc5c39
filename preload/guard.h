/*
 * guard.h - a table file that is cut off does not end the server.
 */
#ifndef STEK_GUARD_H
#define STEK_GUARD_H

#include "../callback.h"

/*
 * guard_keep makes reading table safe when its file is cut off: the kernel then
 * sends SIGBUS, and a handler puts zeros, which are no key, where the file was.
 * Every other SIGBUS goes to the handler that was there. Call it again when a
 * server may have set a handler of its own. Any thread.
 */
void guard_keep(const struct stekc_table *table);

#endif
