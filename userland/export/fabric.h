/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fabrics: what each is called, needs and has.
 */
#ifndef LARDER_EXPORT_FABRIC_H
#define LARDER_EXPORT_FABRIC_H

#include <stdbool.h>
#include <stddef.h>

#define WWN_MAX		224	/* with the end */
#define PORTAL_MAX	64

enum wwn_kind {
	WWN_IQN,	/* iqn.2003-01.org.example:x, eui.0123456789abcdef, naa.... */
	WWN_NAA,	/* naa.5001405xxxxxxxxx */
	WWN_COLONS,	/* 20:00:00:11:22:33:44:55 */
	WWN_GUID,	/* xxxx:xxxx:xxxx:xxxx, or 0x and 32 digits (a GID) */
	WWN_EUI64,	/* 16 digits */
	WWN_NQN,	/* nqn.2014-08.org.example:x */
	WWN_GUID_OR_IP,	/* of an initiator: SRP with rdma_cm is named by its address */
	WWN_NONE,	/* initiators have no names */
};

enum initiators {
	INITIATORS_NAMED,	/* by --acl; any_initiator where --any-initiator is given */
	INITIATORS_ONLY_NAMED,	/* by --acl; the fabric has no other way */
	INITIATORS_ANY,		/* the fabric lets all in: only with --any-initiator */
	INITIATORS_LOCAL,	/* the one nexus is this host's */
};

struct fabric {
	const char *name;		/* after --fabric */
	const char *tree;		/* below target/; NULL: nvmet */
	const char *modules[3];		/* for modprobe, in this order */
	enum wwn_kind target, initiator;
	enum initiators initiators;
	bool portals;			/* is reached at an address */
	bool port_only;			/* of a portal, only the port counts, for the whole host */
	bool enable;			/* a target begins disabled */
	bool chap;
	bool acl_switches;		/* attrib/generate_node_acls and so on */
	const char *trtype;		/* of nvmet */
	unsigned int port;		/* where it is without a port in --portal */
	const char *hint;		/* where this host's WWN is found; NULL: it is made up */
};

const struct fabric *fabric_find(const char *name);
/* By the name of a tree below target/, where several are one tree the first. */
const struct fabric *fabric_of_tree(const char *tree);
/* The i-th, NULL after the last. */
const struct fabric *fabric_at(size_t i);
static inline bool fabric_is_nvmet(const struct fabric *f) { return !f->tree; }

/*
 * Is it a name of this kind?  It is put as configfs spells it (lower case,
 * colons); false: it is not, and *why says what was expected.
 */
bool wwn_parse(enum wwn_kind kind, const char *text, char wwn[WWN_MAX], const char **why);
/* A name that nobody else has. */
void wwn_make(enum wwn_kind kind, char wwn[WWN_MAX]);
/* ADDRESS[:PORT], [ADDRESS]:PORT; as configfs spells it: 10.0.0.1:3260, [::1]:3260. */
bool portal_parse(const char *text, unsigned int port, char portal[PORTAL_MAX]);
/* Its parts, for nvmet; ipv6 without brackets. */
void portal_split(const char *portal, char address[PORTAL_MAX], char port[8], bool *ipv6);

/* Fresh random numbers of the kernel; ends the program when there are none. */
void random_bytes(void *to, size_t size);
#define UUID_MAX 37
void uuid_make(char uuid[UUID_MAX]);
bool uuid_valid(const char *text);

#endif
