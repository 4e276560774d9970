// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registry of policies, and the calls into the one that a cache uses.  s3fifo
 * and cleaner are always there; others are modules named
 * dm-larder-policy-NAME that register themselves and are loaded on demand.
 */
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "larder.h"

static DEFINE_MUTEX(policies_lock);
static LIST_HEAD(policies);

/* LVM cannot pass a policy's name for a cache volume; so the host has a say in what "mq" means. */
static char default_policy[sizeof_field(struct larder_args, policy_name)] = "s3fifo";
module_param_string(default_policy, default_policy, sizeof(default_policy), 0644);
MODULE_PARM_DESC(default_policy, "What policies \"default\", \"smq\" and \"mq\" mean (s3fifo)");

/* As LVM and others call whatever is best. */
static bool means_default(const char *name)
{
	return !strcmp(name, "default") || !strcmp(name, "smq") || !strcmp(name, "mq");
}

/*
 * "policy_NAME 1": with a cache volume LVM writes "mq" whatever the policy, but
 * hands on the settings.  NULL: an ordinary setting.
 */
static const char *policy_in_key(const struct larder_args *args, const char *key)
{
	return means_default(args->policy_name) && !strncmp(key, "policy_", 7) ? key + 7 : NULL;
}

/* The policy that a setting names, or NULL.  -ENOENT: two do. */
static int find_chosen(const struct larder_args *args, const char **chosen)
{
	const char *name;
	unsigned int i;

	*chosen = NULL;
	for (i = 0; i < args->nr_policy_args; i++) {
		name = policy_in_key(args, args->policy_args[i].key);
		if (!name || !args->policy_args[i].value)
			continue;
		if (*chosen && strcmp(*chosen, name)) {
			DMERR("settings choose two policies: \"%s\" and \"%s\"", *chosen, name);
			return -ENOENT;
		}
		*chosen = name;
	}
	return 0;
}

static void real_name(const char *name, char *real, size_t size)
{
	kernel_param_lock(THIS_MODULE);
	strscpy(real, means_default(name) ? default_policy : name, size);
	kernel_param_unlock(THIS_MODULE);
	/* written to sysfs with a line's end */
	strim(real);
	if (!*real || means_default(real))
		strscpy(real, "s3fifo", size);
}

/* Settings of dm-cache's old policy: LVM may still pass them on, its mq ignores them, too. */
static const char *const legacy_keys[] = {
	"random_threshold", "sequential_threshold", "discard_promote_adjustment",
	"read_promote_adjustment", "write_promote_adjustment",
};

static bool is_legacy_key(const char *key)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(legacy_keys); i++)
		if (!strcmp(legacy_keys[i], key))
			return true;
	return false;
}

/* A setting by the table line or a message; under policy_lock, or before anybody else sees it. */
int larder_policy_set(struct larder_cache *c, const char *key, u64 value)
{
	int err = c->policy_ops->set(&c->policy, key, value);

	return err == -ENOENT && means_default(c->args.policy_name) && is_legacy_key(key) ? 0 : err;
}

/* All settings for a status line, under policy_lock; what mq ignores is 0 as with dm-cache. */
void larder_policy_emit(struct larder_cache *c, policy_emit_fn emit, void *context)
{
	unsigned int i, n = strcmp(c->args.policy_name, "mq") ? 0 : ARRAY_SIZE(legacy_keys);

	for (i = 0; i < n; i++)
		emit(context, legacy_keys[i], 0);
	c->policy_ops->emit_args(&c->policy, emit, context);
}

static struct larder_policy_module *find_policy(const char *name)
{
	struct larder_policy_module *m;

	list_for_each_entry(m, &policies, list)
		if (!strcmp(m->ops->name, name))
			return m;
	return NULL;
}

/* Called by a policy's module; it must unregister before it goes. */
int larder_policy_register(const struct policy_ops *ops, struct module *owner)
{
	struct larder_policy_module *m = kzalloc(sizeof(*m), GFP_KERNEL);
	int err = 0;

	if (!m)
		return -ENOMEM;
	m->ops = ops;
	m->owner = owner;
	mutex_lock(&policies_lock);
	if (find_policy(ops->name))
		err = -EEXIST;
	else
		list_add_tail(&m->list, &policies);
	mutex_unlock(&policies_lock);
	if (err)
		kfree(m);
	return err;
}
EXPORT_SYMBOL_GPL(larder_policy_register);

void larder_policy_unregister(const struct policy_ops *ops)
{
	struct larder_policy_module *m;

	mutex_lock(&policies_lock);
	m = find_policy(ops->name);
	if (m)
		list_del(&m->list);
	mutex_unlock(&policies_lock);
	kfree(m);
}
EXPORT_SYMBOL_GPL(larder_policy_unregister);

static bool get_policy(struct larder_cache *c, const char *name)
{
	struct larder_policy_module *m;

	mutex_lock(&policies_lock);
	m = find_policy(name);
	if (m && try_module_get(m->owner)) {
		c->policy_ops = m->ops;
		c->policy_owner = m->owner;
	}
	mutex_unlock(&policies_lock);
	return c->policy_ops;
}

/* Finds the policy that the table line names.  -ENOENT when there is none. */
int larder_policy_open(struct larder_cache *c)
{
	char name[sizeof(c->args.policy_name)];
	const char *chosen;

	if (find_chosen(&c->args, &chosen))
		return -ENOENT;
	real_name(chosen ? chosen : c->args.policy_name, name, sizeof(name));
	if (get_policy(c, name))
		return 0;
	request_module("dm-larder-policy-%s", name);
	return get_policy(c, name) ? 0 : -ENOENT;
}

/* Takes the policy's state away; larder_policy_attach() makes it anew. */
void larder_policy_detach(struct larder_cache *c)
{
	void *memory;

	/* a status or message may come while there is none */
	spin_lock_irq(&c->policy_lock);
	memory = c->policy_memory;
	c->policy_memory = NULL;
	spin_unlock_irq(&c->policy_lock);
	if (memory && c->policy_ops->exit)
		c->policy_ops->exit(&c->policy);
	vfree(memory);
}

void larder_policy_close(struct larder_cache *c)
{
	if (!c->policy_ops)
		return;
	larder_policy_detach(c);
	module_put(c->policy_owner);
	c->policy_ops = NULL;
}

static u8 heat_get(void *context, u32 slot)
{
	struct larder_cache *c = context;

	return READ_ONCE(c->map.slots[slot].heat);
}

static void heat_set(void *context, u32 slot, u8 heat)
{
	struct larder_cache *c = context;

	WRITE_ONCE(c->map.slots[slot].heat, heat);
}

/* Gives the policy its memory and settings.  -EINVAL: a key or value that it does not take. */
int larder_policy_attach(struct larder_cache *c)
{
	struct policy *p = &c->policy;
	unsigned int i;
	size_t bytes;
	void *memory;
	int err;

	p->ops = c->policy_ops;
	p->geometry.nr_slots = c->geometry.nr_slots;
	p->geometry.block_sectors = c->geometry.block_sectors;
	p->geometry.nr_origin_blocks = c->geometry.nr_origin_blocks;
	p->heat.get = heat_get;
	p->heat.set = heat_set;
	p->heat.context = c;
	bytes = p->ops->state_bytes(&p->geometry);
	if (!bytes)
		return -E2BIG;
	memory = vzalloc(bytes);
	if (!memory)
		return -ENOMEM;
	p->state = memory;
	err = p->ops->init(p, get_random_u64());
	for (i = 0; !err && i < c->args.nr_policy_args; i++)
		if (!policy_in_key(&c->args, c->args.policy_args[i].key))
			err = larder_policy_set(c, c->args.policy_args[i].key,
						c->args.policy_args[i].value);
	spin_lock_irq(&c->policy_lock);
	c->policy_memory = memory;
	spin_unlock_irq(&c->policy_lock);
	if (err)
		larder_policy_detach(c);
	return err;
}

struct kept_settings {
	unsigned int nr;
	struct {
		const char *key;
		u64 value;
	} setting[POLICY_ARGS_MAX];
};

static void keep_setting(void *context, const char *key, u64 value)
{
	struct kept_settings *kept = context;

	if (kept->nr == ARRAY_SIZE(kept->setting))
		return;
	kept->setting[kept->nr].key = key;
	kept->setting[kept->nr++].value = value;
}

int larder_policy_renew(struct larder_cache *c)
{
	struct kept_settings *kept = kzalloc(sizeof(*kept), GFP_KERNEL);
	unsigned int i;
	int err;

	if (!kept)
		return -ENOMEM;
	spin_lock_irq(&c->policy_lock);
	c->policy_ops->emit_args(&c->policy, keep_setting, kept);
	spin_unlock_irq(&c->policy_lock);
	larder_policy_detach(c);
	err = larder_policy_attach(c);
	for (i = 0; !err && i < kept->nr; i++)
		err = c->policy_ops->set(&c->policy, kept->setting[i].key, kept->setting[i].value);
	kfree(kept);
	return err;
}

static u64 now_ms(void)
{
	return ktime_get_ns() / NSEC_PER_MSEC;
}

enum policy_admit larder_policy_miss(struct larder_cache *c, const struct extent *e, bool write)
{
	struct policy_miss miss = {
		.block = e->block,
		.grains = hweight64(e->touched),
		.write = write,
		.free_slots = atomic64_read(&c->map.nr_free) > 0,
		.now_ms = now_ms(),
	};
	enum policy_admit admit;
	unsigned long flags;

	if (!READ_ONCE(c->running))
		return POLICY_BYPASS;
	spin_lock_irqsave(&c->policy_lock, flags);
	admit = c->policy_ops->miss(&c->policy, &miss);
	spin_unlock_irqrestore(&c->policy_lock, flags);
	return admit;
}

void larder_policy_inserted(struct larder_cache *c, u32 slot, u64 block, bool write)
{
	unsigned long flags;

	spin_lock_irqsave(&c->policy_lock, flags);
	c->policy_ops->inserted(&c->policy, slot, block, write);
	spin_unlock_irqrestore(&c->policy_lock, flags);
}

void larder_policy_removed(struct larder_cache *c, u32 slot, u64 block, enum policy_removed why)
{
	unsigned long flags;

	spin_lock_irqsave(&c->policy_lock, flags);
	/* none yet: forgets that a stop could not record, while the cache is brought up */
	if (c->policy_memory)
		c->policy_ops->removed(&c->policy, slot, block, why);
	spin_unlock_irqrestore(&c->policy_lock, flags);
}

int larder_policies_init(void)
{
	int err = larder_policy_register(&policy_s3fifo, THIS_MODULE);

	return err ?: larder_policy_register(&policy_cleaner, THIS_MODULE);
}

void larder_policies_exit(void)
{
	larder_policy_unregister(&policy_cleaner);
	larder_policy_unregister(&policy_s3fifo);
}
