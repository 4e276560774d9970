// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "context.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);
#endif

static struct context *came_from;

/* What every context does first after it has been switched to. */
static void arrived(void)
{
#ifdef WITH_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(NULL, &bottom, &size);
	if (!came_from->stack) {
		came_from->bottom = bottom;
		came_from->size = size;
	}
#endif
}

static void leaving(struct context *to)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(NULL, to->bottom, to->size);
#else
	(void)to;
#endif
}

static void *new_stack(void)
{
	void *stack = mmap(NULL, CONTEXT_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (stack == MAP_FAILED) {
		perror("sim: no memory for a stack");
		exit(2);
	}
	return stack;
}

static struct context *going_to;

__attribute__((noreturn, used)) static void first_steps(void)
{
	arrived();
	going_to->entry();
	abort();
}

#ifdef __x86_64__

/* Callee-saved registers go to the stack, the stack pointer to *save. */
void sim_switch_stack(void **save, void *sp);

__asm__(".text\n"
	".globl sim_switch_stack\n"
	".type sim_switch_stack, @function\n"
	"sim_switch_stack:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size sim_switch_stack, . - sim_switch_stack\n"
	".section .note.GNU-stack,\"\",@progbits\n"
	".text\n");

static void prepare_stack(struct context *c)
{
	void **sp = (void **)((char *)c->stack + CONTEXT_STACK);

	*--sp = NULL;				/* keeps the stack aligned at the entry */
	*--sp = (void *)first_steps;
	sp -= 6;
	for (int i = 0; i < 6; i++)
		sp[i] = NULL;
	c->sp = sp;
}

static void do_switch(struct context *from, struct context *to)
{
	sim_switch_stack(&from->sp, to->sp);
}

#else	/* slower, and everywhere */

#include <ucontext.h>

static void prepare_stack(struct context *c)
{
	ucontext_t *u = c->sp ? c->sp : calloc(1, sizeof(*u));

	getcontext(u);
	u->uc_stack.ss_sp = c->stack;
	u->uc_stack.ss_size = CONTEXT_STACK;
	u->uc_link = NULL;
	makecontext(u, first_steps, 0);
	c->sp = u;
}

static void do_switch(struct context *from, struct context *to)
{
	if (!from->sp)
		from->sp = calloc(1, sizeof(ucontext_t));
	swapcontext(from->sp, to->sp);
}

#endif

void context_make(struct context *c, void (*entry)(void))
{
	if (!c->stack)
		c->stack = new_stack();
	c->bottom = c->stack;
	c->size = CONTEXT_STACK;
	c->entry = entry;
#ifdef WITH_ASAN
	/* frames that were left for ever have poisoned it */
	__asan_unpoison_memory_region(c->stack, CONTEXT_STACK);
#endif
	prepare_stack(c);
}

void context_switch(struct context *from, struct context *to)
{
	came_from = from;
	going_to = to;
	leaving(to);
	do_switch(from, to);
	arrived();
}
