/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's NVMe target, /sys/kernel/config/nvmet: subsystems with namespaces,
 * hosts that may come, ports where they come.  The same as lio.h for it.
 */
#ifndef LARDER_EXPORT_NVMET_H
#define LARDER_EXPORT_NVMET_H

#include "lio.h"

/*
 * Before the record is written: made_hosts and made_ports of t become what will
 * have to be made.
 */
void nvmet_plan(struct configfs *c, const struct state *s, struct target *t);
int nvmet_make_lun(struct journal *j, struct target *t, const struct lun *l,
		   const struct backstore *b);
/* As lio_stop(); of a subsystem that stays, a namespace cannot be stopped before it is disabled. */
int nvmet_stop(struct journal *j, const struct target *t, const struct names *namespaces);
int nvmet_remove_lun(struct configfs *c, bool dry_run, const struct target *t,
		     const struct lun *l);
int nvmet_remove_target(struct configfs *c, bool dry_run, const struct target *t);
/* As lio_remove_added(); what is no more is no more in made_hosts and made_ports. */
int nvmet_remove_added(struct configfs *c, struct target *t);
bool nvmet_target_exists(struct configfs *c, const struct target *t);
bool nvmet_lets_in(struct configfs *c, const struct target *t, const char *host);
bool nvmet_host_used(struct configfs *c, const char *host);
bool nvmet_lun_exists(struct configfs *c, const struct lun *l);
void nvmet_luns_visit(struct configfs *c, void (*visit)(void *context, const struct seen_lun *l),
		      void *context);

#endif
