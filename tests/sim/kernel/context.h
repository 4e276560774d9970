/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Coroutines: a stack, and a switch from one to another.
 */
#ifndef SIM_CONTEXT_H
#define SIM_CONTEXT_H

#include <stddef.h>

#define CONTEXT_STACK (256u << 10)

struct context {
	void *sp;
	void *stack;		/* NULL: the thread's own */
	const void *bottom;	/* for the address sanitizer */
	size_t size;
	void (*entry)(void);
};

/* Takes (or makes) a stack; entry must never return. */
void context_make(struct context *c, void (*entry)(void));
/* From the running one to another. */
void context_switch(struct context *from, struct context *to);

#endif
