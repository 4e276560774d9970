/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The user-space half of env.h: the few kernel names that core/ and policy/
 * use, for tools, simulator, unit tests and fuzzers.  Include env.h, not this.
 */
#ifndef CORE_ENV_USER_H
#define CORE_ENV_USER_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#ifdef __CHECKER__
#define __bitwise __attribute__((bitwise))
#define __force __attribute__((force))
#else
#define __bitwise
#define __force
#endif

typedef u16 __bitwise __le16;
typedef u32 __bitwise __le32;
typedef u64 __bitwise __le64;

#define le16_to_cpu(x) le16toh((__force u16)(x))
#define le32_to_cpu(x) le32toh((__force u32)(x))
#define le64_to_cpu(x) le64toh((__force u64)(x))
#define cpu_to_le16(x) ((__force __le16)htole16(x))
#define cpu_to_le32(x) ((__force __le32)htole32(x))
#define cpu_to_le64(x) ((__force __le64)htole64(x))

#define U8_MAX UINT8_MAX
#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX

#define static_assert _Static_assert
#define __packed __attribute__((packed))
#define fallthrough __attribute__((__fallthrough__))
#define container_of(p, t, m) ((t *)((char *)(p) - offsetof(t, m)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define min(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define min_t(t, a, b) ((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b) ((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define swap(a, b) do { __typeof__(a) _s = (a); (a) = (b); (b) = _s; } while (0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define DIV_ROUND_UP_ULL(n, d) DIV_ROUND_UP((u64)(n), (u64)(d))
#define ALIGN(x, a) (((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define BITS_PER_LONG (8 * (int)sizeof(long))

static inline u64 div64_u64(u64 n, u64 d) { return n / d; }
static inline u64 div_u64(u64 n, u32 d) { return n / d; }
static inline u64 div64_u64_rem(u64 n, u64 d, u64 *r) { *r = n % d; return n / d; }
static inline bool is_power_of_2(u64 n) { return n && !(n & (n - 1)); }
static inline int ilog2(u64 n) { return 63 - __builtin_clzll(n); }
static inline u64 roundup_pow_of_two(u64 n) { return n <= 1 ? 1 : 1ull << (ilog2(n - 1) + 1); }
static inline unsigned long __ffs(unsigned long w) { return (unsigned long)__builtin_ctzl(w); }
static inline int fls64(u64 w) { return w ? 64 - __builtin_clzll(w) : 0; }
static inline unsigned int hweight64(u64 w) { return (unsigned int)__builtin_popcountll(w); }

/* for scalars; atomic, so that the thread sanitizer knows what is meant */
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#ifdef CORE_SIMULATED
/* one thread: a barrier is where another might come in between, see env.h */
void core_point(void);
#define smp_mb() core_point()
#else
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()

typedef struct { s64 counter; } atomic64_t;

static inline s64 atomic64_read(const atomic64_t *v) { return __atomic_load_n(&v->counter, __ATOMIC_RELAXED); }
static inline s64 atomic64_read_acquire(const atomic64_t *v) { return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE); }
static inline void atomic64_set(atomic64_t *v, s64 i) { __atomic_store_n(&v->counter, i, __ATOMIC_RELAXED); }
static inline void atomic64_set_release(atomic64_t *v, s64 i) { __atomic_store_n(&v->counter, i, __ATOMIC_RELEASE); }
static inline void atomic64_inc(atomic64_t *v) { __atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED); }
static inline void atomic64_dec(atomic64_t *v) { __atomic_fetch_sub(&v->counter, 1, __ATOMIC_RELAXED); }
static inline void atomic64_add(s64 i, atomic64_t *v) { __atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED); }
static inline void atomic64_sub(s64 i, atomic64_t *v) { __atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED); }
static inline s64 atomic64_inc_return(atomic64_t *v) { return __atomic_add_fetch(&v->counter, 1, __ATOMIC_SEQ_CST); }
static inline s64 atomic64_sub_return(s64 i, atomic64_t *v) { return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST); }
static inline s64 atomic64_fetch_sub(s64 i, atomic64_t *v) { return __atomic_fetch_sub(&v->counter, i, __ATOMIC_SEQ_CST); }

static inline bool atomic64_try_cmpxchg(atomic64_t *v, s64 *old, s64 new)
{
	return __atomic_compare_exchange_n(&v->counter, old, new, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* Atomic bit operations on arrays of long, as in the kernel. */
static inline bool test_bit(unsigned long nr, const unsigned long *p)
{
	return (__atomic_load_n(&p[nr / BITS_PER_LONG], __ATOMIC_RELAXED) >> (nr % BITS_PER_LONG)) & 1;
}

static inline void set_bit(unsigned long nr, unsigned long *p)
{
	__atomic_fetch_or(&p[nr / BITS_PER_LONG], 1ul << (nr % BITS_PER_LONG), __ATOMIC_SEQ_CST);
}

static inline void clear_bit(unsigned long nr, unsigned long *p)
{
	__atomic_fetch_and(&p[nr / BITS_PER_LONG], ~(1ul << (nr % BITS_PER_LONG)), __ATOMIC_SEQ_CST);
}

static inline bool test_and_set_bit(unsigned long nr, unsigned long *p)
{
	unsigned long bit = 1ul << (nr % BITS_PER_LONG);

	return __atomic_fetch_or(&p[nr / BITS_PER_LONG], bit, __ATOMIC_SEQ_CST) & bit;
}

static inline bool test_and_clear_bit(unsigned long nr, unsigned long *p)
{
	unsigned long bit = 1ul << (nr % BITS_PER_LONG);

	return __atomic_fetch_and(&p[nr / BITS_PER_LONG], ~bit, __ATOMIC_SEQ_CST) & bit;
}

/* heapsort in the kernel; any in-place sort will do here */
static inline void sort(void *base, size_t num, size_t size,
			int (*cmp)(const void *, const void *),
			void (*swap_fn)(void *, void *, int))
{
	(void)swap_fn;
	qsort(base, num, size, cmp);
}

/* Seeded and not inverted at the end, as the kernel's: start with ~0. */
u32 crc32c(u32 crc, const void *data, size_t len);

#define core_warn_on(cond) ({ bool _broken = !!(cond); assert(!_broken && #cond); _broken; })

#endif
